"""Detects the format of a photo by its first bytes, and opens it, including AVIF and HEIC.

Pillow itself reads AVIF; `pi_heif`, the decode-only build of pillow-heif, adds HEIC.
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
"""Brands of single pictures and sequences; `mif1` and `msf1` do not distinguish AVIF from HEIC."""
MAX_BRANDS = 16
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
    """Pillow's name for the format; None if it is not in `FORMATS`."""
    if data[4:8] == FTYP:
        brands = brands_of(data)
        if AVIF_BRANDS & brands:
            return "AVIF"
        return "HEIF" if HEIF_BRANDS & brands else None
    return next((name for name, (start, magic) in MAGIC.items() if data[start:].startswith(magic)), None)


def brands_of(data: bytes) -> set[bytes]:
    """Brands that a file in boxes (ISO/IEC 14496-12) declares."""
    end = min(int.from_bytes(data[:4], "big"), len(data), 16 + 4 * MAX_BRANDS)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def open_photo(data: bytes, name: str) -> Image.Image:
    """Read a photo's header; an AVIF or HEIC without a colour profile gets one for its code points.

    Raises whatever Pillow raises.
    """
    if name in BOXED:
        prepare()
    image = Image.open(io.BytesIO(data), formats=[name])
    if name in BOXED and not image.info.get("icc_profile"):
        image.info["icc_profile"] = profile_of(*code_points(data))
    return image


def decoded_pixels(image: Image.Image, data: bytes) -> int:
    """Number of pixels that decoding an opened photo produces; an AVIF may have more than its header says.

    Raises:
        Unreadable: an AVIF's size cannot be determined.
    """
    declared = image.width * image.height
    return max(declared, coded_pixels(data)) if image.format == "AVIF" else declared


@cache
def prepare() -> None:
    """Decode with one thread, since each thread needs memory of its own and photos are decoded in parallel anyway."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def code_points(data: bytes) -> tuple[int, int]:
    """Primaries and transfer (ITU-T H.273) of the first colour description; (2, 2), unspecified, if there is none."""
    at = data.find(b"colrnclx")
    found = data[at + 8 : at + 12] if at >= 0 else b""
    return (int.from_bytes(found[:2], "big"), int.from_bytes(found[2:], "big")) if len(found) == 4 else (2, 2)
