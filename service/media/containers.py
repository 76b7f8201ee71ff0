"""The parts of PNG and WebP files: what a decoder needs of them, and what they tell of the picture beside its pixels.

No pixel is decoded here, and parts are counted: each costs whoever looks at it some work.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from cinemo_spec.colour import MOST_PROFILE_BYTES, profile_of
from service.contract.problems import ImageAnimated, ImageTooComplex

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
MOST_PARTS = 20_000
"""Of PNG and WebP; encoders write some thousand in the largest file that is taken."""
XMP_IN_PNG = b"XML:com.adobe.xmp\x00"
STARTS_ANIMATION = b"acTL"
KEPT_OF_PNG = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
"""All others tell of colours, texts and times, or hold compressed texts of any length; none changes a pixel here."""
MOST_NAME_BYTES = 80


@dataclass(frozen=True)
class Bare:
    """A file without metadata, and what that said of how the photo was held, and of its colours.

    Attributes:
        data: the file as a decoder gets it.
        exif: the TIFF of its EXIF, with or without the head of it; empty where there is none.
        xmp: its XMP, as it stands.
        profile: of its colours (ICC); empty where they are sRGB's, or nobody says what they are.
        scans: times that the whole picture is gone through to decode it.
    """

    data: bytes
    exif: bytes = b""
    xmp: bytes = b""
    profile: bytes = b""
    scans: int = 1


def bare_png(data: bytes) -> Bare:
    """A PNG with the chunks alone that a decoder needs; one that breaks off does so still.

    Raises:
        ImageAnimated: it has several frames.
        ImageTooComplex: it has too many chunks.
    """
    kept, exif, xmp, packed, code_points = [PNG_HEAD], b"", b"", b"", b""
    for name, start, end in chunks(data, len(PNG_HEAD)):
        body = data[start + 8 : end - 4]
        if name == STARTS_ANIMATION and int.from_bytes(body[:4]) > 1:
            raise ImageAnimated("the image is animated; send a still one")
        if name in KEPT_OF_PNG:
            kept.append(data[start:end])
        elif name == b"eXIf":
            exif = exif or body
        elif name == b"iTXt" and body.startswith(XMP_IN_PNG):
            xmp = xmp or body
        elif name == b"iCCP":
            packed = packed or body
        elif name == b"cICP":
            code_points = code_points or body
    profile = profile_of(*code_points[:2]) if len(code_points) == 4 else unpacked(packed)
    return Bare(b"".join(kept), exif, xmp, profile)


def unpacked(chunk: bytes) -> bytes:
    """The profile in an `iCCP`; empty where it is damaged, or larger than any."""
    start = chunk.find(b"\0", 0, MOST_NAME_BYTES) + 2
    try:
        packer = zlib.decompressobj()
        profile = packer.decompress(chunk[start:], MOST_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if packer.eof else b""


def chunks(data: bytes, start: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk of a PNG, up to its end; the last one may be cut off."""
    for _ in range(MOST_PARTS):
        if start + 8 > len(data):
            return
        name = data[start + 4 : start + 8]
        end = start + 12 + int.from_bytes(data[start : start + 4])
        yield name, start, min(end, len(data))
        if name == b"IEND":
            return
        start = end
    raise too_many()


def bare_webp(data: bytes) -> Bare:
    """A WebP as it is, with what it tells; its decoder looks at no metadata.

    Raises:
        ImageAnimated: it has several frames.
        ImageTooComplex: it has too many chunks.
    """
    exif, xmp, profile, frames, start = b"", b"", b"", 0, 12
    for _ in range(MOST_PARTS):
        if start + 8 > len(data):
            return Bare(data, exif, xmp, profile)
        name, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        body = start + 8
        if name == b"EXIF":
            exif = exif or data[body : body + size]
        elif name == b"XMP ":
            xmp = xmp or data[body : body + size]
        elif name == b"ICCP":
            profile = profile or data[body : body + size]
        elif name == b"ANMF":
            frames += 1
        if frames > 1:
            raise ImageAnimated("the image is animated; send a still one")
        start = body + size + size % 2
    raise too_many()


def too_many() -> ImageTooComplex:
    return ImageTooComplex(f"the image has more than {MOST_PARTS:,} parts")
