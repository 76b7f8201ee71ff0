"""How a photo was held, of all that EXIF and XMP tell the one thing that is read; nothing of them is written.

A tag of the wrong type, a loop or an end too early is a photo that says nothing: it stands as it is.
"""

import re
import struct

from PIL import Image

EXIF_HEAD = b"Exif\x00\x00"
ORIENTATION, SHORT, LONG = 0x0112, 3, 4
MOST_ENTRIES = 1000
"""Cameras write some twenty; they stand in order, and this one among the first."""
IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its orientation (Exif 2.32, table 4, tag 274)."""


def turn_of(exif: bytes, xmp: bytes) -> Image.Transpose | None:
    """What has to be done to the picture; None where it is upright, or nobody says otherwise."""
    found = orientation(exif.removeprefix(EXIF_HEAD))
    if found is None and (match := IN_XMP.search(xmp)):
        found = int(match[1])
    return TURNS.get(found or 1)


def orientation(tiff: bytes) -> int | None:
    """The orientation in the first directory of a TIFF, 1 to 8."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return None
    (count,) = struct.unpack_from(order + "H", tiff, start)
    last = min(start + 2 + 12 * min(count, MOST_ENTRIES), len(tiff) - 11)
    for at in range(start + 2, last, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", tiff, at)
        if tag == ORIENTATION:
            if kind not in (SHORT, LONG) or values != 1:
                return None
            (value,) = struct.unpack_from(order + ("H" if kind == SHORT else "I"), tiff, at + 8)
            return int(value) if 1 <= value <= 8 else None
    return None
