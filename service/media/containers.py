"""Reads the chunks of PNG and WebP files: what a decoder needs, and the metadata that describes the pixels.

Decodes no pixels. The number of chunks is limited, because each costs time.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from cinemo_spec.colour import MAX_PROFILE_BYTES, profile_of
from service.contract.problems import ImageAnimated, ImageTooComplex

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 20_000
"""Encoders write a few thousand into the largest file allowed."""
XMP_KEYWORD = b"XML:com.adobe.xmp\x00"
ANIMATION_CONTROL = b"acTL"
KEPT_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
"""Others hold colour information, times or texts, even compressed ones of any length; none affects decoding here."""
MAX_PROFILE_NAME_BYTES = 80


@dataclass(frozen=True)
class ImageFile:
    """An image file to decode, and its orientation and colour metadata.

    Attributes:
        data: the file for the decoder.
        exif: the TIFF structure of its EXIF, with or without the `Exif` header; empty if there is none.
        xmp: its XMP, unparsed.
        profile: its ICC profile; empty if the colours are sRGB or unspecified.
        scans: how many passes over the whole picture decoding takes.
        sample: what a decoder takes or refuses as it does the file, and is done with sooner; empty if that is unknown.
    """

    data: bytes
    exif: bytes = b""
    xmp: bytes = b""
    profile: bytes = b""
    scans: int = 1
    sample: bytes = b""


def parse_png(data: bytes) -> ImageFile:
    """Keep only the chunks of a PNG that a decoder needs; a truncated file stays truncated.

    Raises:
        ImageAnimated: it has several frames.
        ImageTooComplex: it has too many chunks.
    """
    kept, exif, xmp, compressed, code_points = [PNG_SIGNATURE], b"", b"", b"", b""
    for name, start, end in chunks(data, len(PNG_SIGNATURE)):
        body = data[start + 8 : end - 4]
        if name == ANIMATION_CONTROL and int.from_bytes(body[:4]) > 1:
            raise ImageAnimated("the image is animated; send a still one")
        if name in KEPT_CHUNKS:
            kept.append(data[start:end])
        elif name == b"eXIf":
            exif = exif or body
        elif name == b"iTXt" and body.startswith(XMP_KEYWORD):
            xmp = xmp or body
        elif name == b"iCCP":
            compressed = compressed or body
        elif name == b"cICP":
            code_points = code_points or body
    profile = profile_of(*code_points[:2]) if len(code_points) == 4 else decompress_profile(compressed)
    return ImageFile(b"".join(kept), exif, xmp, profile)


def decompress_profile(chunk: bytes) -> bytes:
    """The profile in an `iCCP` chunk; empty if damaged or too large."""
    start = chunk.find(b"\0", 0, MAX_PROFILE_NAME_BYTES) + 2
    try:
        decompressor = zlib.decompressobj()
        profile = decompressor.decompress(chunk[start:], MAX_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if decompressor.eof else b""


def chunks(data: bytes, start: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk of a PNG up to `IEND`; the last one may be truncated."""
    for _ in range(MAX_CHUNKS):
        if start + 8 > len(data):
            return
        name = data[start + 4 : start + 8]
        end = start + 12 + int.from_bytes(data[start : start + 4])
        yield name, start, min(end, len(data))
        if name == b"IEND":
            return
        start = end
    raise too_many_chunks()


def parse_webp(data: bytes) -> ImageFile:
    """A WebP, unchanged, because its decoder ignores metadata.

    Raises:
        ImageAnimated: it has several frames.
        ImageTooComplex: it has too many chunks.
    """
    exif, xmp, profile, frames, start = b"", b"", b"", 0, 12
    for _ in range(MAX_CHUNKS):
        if start + 8 > len(data):
            return ImageFile(data, exif, xmp, profile)
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
    raise too_many_chunks()


def too_many_chunks() -> ImageTooComplex:
    return ImageTooComplex(f"the image has more than {MAX_CHUNKS:,} chunks")
