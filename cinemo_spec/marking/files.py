"""Embeds an XMP packet in MP4, GIF and WebP files, and finds source types in any file.

Follows part 3 of the XMP specification, "Storage in files". WebM cannot contain XMP; it only has tags.
"""

import mmap
import struct
from pathlib import Path

from PIL import Image

from cinemo_spec.marking.statement import SourceType, scanner, xmp

UUID_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
GIF_EXTENSION = b"\x21\xff\x0bXMP DataXMP"
# A reader that parses the packet as sub-blocks ends up in these bytes, and leaves them at their end.
GIF_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
GIF_LOOP = b"\x21\xff\x0bNETSCAPE2.0"
GIF_LOOP_BYTES = 19
XMP_FLAG = 0x04


def embed(path: Path, source: SourceType) -> None:
    """Add an XMP packet to an `.mp4`, `.gif` or `.webp` without one; leave a `.webm` unchanged."""
    packet, suffix = xmp(source), path.suffix.lower()
    if suffix == ".mp4":
        with path.open("ab") as file:
            file.write(struct.pack(">I", 8 + len(UUID_BOX) + len(packet)) + b"uuid" + UUID_BOX + packet)
    elif suffix == ".gif":
        into_gif(path, packet)
    elif suffix == ".webp":
        into_webp(path, packet)


def into_gif(path: Path, packet: bytes) -> None:
    """Insert the packet before the first frame, where readers look, but after the loop count, which must come first."""
    data = path.read_bytes()
    colours = 3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0
    start = 13 + colours
    if data.startswith(GIF_LOOP, start):
        start += GIF_LOOP_BYTES
    path.write_bytes(data[:start] + GIF_EXTENSION + packet + GIF_TRAILER + data[start:])


def into_webp(path: Path, packet: bytes) -> None:
    """Append the packet as a chunk, and set its flag in the header chunk, which simple files lack."""
    with Image.open(path) as picture:
        width, height = picture.size
    data = path.read_bytes()
    body = data[12:]
    if not body.startswith(b"VP8X"):
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = b"VP8X" + struct.pack("<II", 10, 0) + sides + body
    body = body[:8] + bytes([body[8] | XMP_FLAG]) + body[9:]
    body += b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)


def source_types(path: Path) -> list[SourceType]:
    """The distinct source types mentioned anywhere in a file, in order.

    Searches the bytes, as XMP scanners do, so it works on any format and decodes nothing.
    """
    if path.stat().st_size == 0:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return list(dict.fromkeys(SourceType(found[1].decode()) for found in scanner().finditer(data)))
