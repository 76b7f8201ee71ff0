"""Reads a photo's orientation from its EXIF or XMP, of which nothing else is used or kept.

If the metadata is invalid, the photo counts as upright.
"""

import re
import struct

from PIL import Image

EXIF_HEADER = b"Exif\x00\x00"
ORIENTATION, SHORT, LONG = 0x0112, 3, 4
MAX_ENTRIES = 1000
"""Cameras write some twenty, sorted by tag; the orientation is among the first."""
IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')

TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Makes a picture upright, by orientation (Exif 2.32, table 4, tag 274)."""


def transposition(exif: bytes, xmp: bytes) -> Image.Transpose | None:
    """What makes the picture upright; None if it is, or if its orientation is not stated."""
    found = orientation(exif.removeprefix(EXIF_HEADER))
    if found is None and (match := IN_XMP.search(xmp)):
        found = int(match[1])
    return TRANSPOSITIONS.get(found or 1)


def orientation(tiff: bytes) -> int | None:
    """The orientation in the first directory of a TIFF structure, 1 to 8; None if missing or invalid."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return None
    (count,) = struct.unpack_from(order + "H", tiff, start)
    last = min(start + 2 + 12 * min(count, MAX_ENTRIES), len(tiff) - 11)
    for at in range(start + 2, last, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", tiff, at)
        if tag == ORIENTATION:
            if kind not in (SHORT, LONG) or values != 1:
                return None
            (value,) = struct.unpack_from(order + ("H" if kind == SHORT else "I"), tiff, at + 8)
            return int(value) if 1 <= value <= 8 else None
    return None
