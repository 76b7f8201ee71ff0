"""Which kind of photo a file is, going by its first bytes, and what it takes to open AVIF and HEIC. Knows Pillow alone.

Pillow reads AVIF by itself; HEIC comes with `pi_heif`, the build of pillow-heif that decodes alone.
"""

import io
from functools import cache

import pi_heif
from PIL import AvifImagePlugin, Image

from cinemo_spec.av1 import coded_pixels
from cinemo_spec.colour import profile_of

MAGIC = {"JPEG": (0, b"\xff\xd8\xff"), "PNG": (0, b"\x89PNG\r\n\x1a\n"), "WEBP": (8, b"WEBP")}
FTYP = b"ftyp"
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})
"""Of pictures and sequences of them; `mif1` and `msf1` say that it is either."""
MOST_BRANDS = 16
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}
FORMATS = tuple(MEDIA_TYPES)
BOXED = ("AVIF", "HEIF")


def photo_format(data: bytes) -> str | None:
    """Pillow's name for the format; None where it is none of `FORMATS`."""
    if data[4:8] == FTYP:
        brands = brands_of(data)
        if AVIF_BRANDS & brands:
            return "AVIF"
        return "HEIF" if HEIF_BRANDS & brands else None
    return next((name for name, (start, magic) in MAGIC.items() if data[start:].startswith(magic)), None)


def brands_of(data: bytes) -> set[bytes]:
    """What a file in boxes (ISO/IEC 14496-12) says to be."""
    end = min(int.from_bytes(data[:4], "big"), len(data), 16 + 4 * MOST_BRANDS)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def open_photo(data: bytes, name: str) -> Image.Image:
    """Read a photo's header; one that is AVIF or HEIC tells its colours by `icc_profile` in any case.

    Raises what Pillow does.
    """
    if name in BOXED:
        prepare()
    image = Image.open(io.BytesIO(data), formats=[name])
    if name in BOXED and not image.info.get("icc_profile"):
        image.info["icc_profile"] = profile_of(*code_points(data))
    return image


def decoded_pixels(image: Image.Image, data: bytes) -> int:
    """Pixels that decoding makes of a photo that was opened; an AVIF may hold more than its header says.

    Raises:
        Unreadable: of an AVIF that cannot be told.
    """
    told = image.width * image.height
    return max(told, coded_pixels(data)) if image.format == "AVIF" else told


@cache
def prepare() -> None:
    """Have both decode by one thread: each takes memory of its own, and photos are decoded side by side."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def code_points(data: bytes) -> tuple[int, int]:
    """Primaries and transfer (ITU-T H.273) that the first description of colours has; (2, 2), unspecified, without."""
    at = data.find(b"colrnclx")
    found = data[at + 8 : at + 12] if at >= 0 else b""
    return (int.from_bytes(found[:2], "big"), int.from_bytes(found[2:], "big")) if len(found) == 4 else (2, 2)
