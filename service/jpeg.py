"""The segments of a JPEG file (ITU-T T.81, annex B): what a decoder needs of them, without decoding a pixel."""

import re

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
START_OF_SCAN, END_OF_IMAGE, JFIF, ADOBE = 0xDA, 0xD9, 0xE0, 0xEE
TABLES_AND_FRAMES = frozenset({*range(0xC0, 0xC8), *range(0xC9, 0xD0), 0xDB, 0xDD})
"""Quantisation and entropy tables, restart intervals, and the frame headers; 0xC8 is reserved."""

MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""In a scan, 0xff00 is a byte of it and 0xffd0 to 0xffd7 restart it; any other marker ends it."""

PLAIN_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""Says that three components are YCbCr, and holds no thumbnail."""


def bare_jpeg(data: bytes) -> bytes | None:
    """The first picture of a file with all of its pixels and nothing beside: no metadata, comment, thumbnail or tail.

    None where the segments are not as the standard has them, or break off.
    """
    if not data.startswith(SOI):
        return None
    kept, position = [SOI], len(SOI)
    while marker := MARKER.match(data, position):
        code, start = marker[1][0], marker.end()
        if code == END_OF_IMAGE:
            return b"".join((*kept, EOI))
        end = start + int.from_bytes(data[start : start + 2])
        if end < start + 2:
            return None
        if code == START_OF_SCAN:
            next_marker = AFTER_SCAN.search(data, end)
            if next_marker is None:
                return None
            end = next_marker.start()
        kept.append(needed(code, data[start:end]))
        position = end
    return None


def needed(code: int, segment: bytes) -> bytes:
    """A segment as it is kept, from its length on; empty where a decoder can do without."""
    if code in TABLES_AND_FRAMES or code == START_OF_SCAN or (code == ADOBE and is_color_transform(segment)):
        return bytes((0xFF, code)) + segment
    return PLAIN_JFIF if code == JFIF and segment[2:7] == b"JFIF\x00" else b""


def is_color_transform(segment: bytes) -> bool:
    """Whether an application's segment is Adobe's, which says how components become colours, and only that."""
    return segment[:7] == b"\x00\x0eAdobe"
