"""The segments of a JPEG file (ITU-T T.81, annex B): what a decoder needs of them, without decoding a pixel."""

import re

from cinemo_spec.colour import MOST_PROFILE_BYTES
from service.contract.problems import ImageTooComplex
from service.media.containers import Bare

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
START_OF_SCAN, END_OF_IMAGE, JFIF, EXIF_OR_XMP, PROFILE, ADOBE = 0xDA, 0xD9, 0xE0, 0xE1, 0xE2, 0xEE
TABLES_AND_FRAMES = frozenset({*range(0xC0, 0xC8), *range(0xC9, 0xD0), 0xDB, 0xDD})
"""Quantisation and entropy tables, restart intervals, and the frame headers; 0xC8 is reserved."""
MOST_SEGMENTS = 2000
"""Cameras and editors write some hundred in the largest file that is taken."""

MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""In a scan, 0xff00 is a byte of it and 0xffd0 to 0xffd7 restart it; any other marker ends it."""

PLAIN_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""Says that three components are YCbCr, and holds no thumbnail."""
PROFILE_HEAD = b"ICC_PROFILE\x00"
EXIF_HEAD, XMP_HEAD = b"Exif\x00\x00", b"http://ns.adobe.com/xap/1.0/\x00"


def bare_jpeg(data: bytes, max_scans: int) -> Bare | None:
    """The first picture of a file with all of its pixels and nothing beside: no metadata, comment, thumbnail or tail.

    None where the segments are not as the standard has them, or break off.

    Raises:
        ImageTooComplex: the picture comes in more scans than allowed, each of which a decoder goes through as a whole,
            even if it is empty; or in too many segments.
    """
    if not data.startswith(SOI):
        return None
    kept, position, scans = [SOI], len(SOI), 0
    told = {EXIF_HEAD: b"", XMP_HEAD: b""}
    profile: dict[int, bytes] = {}
    for _ in range(MOST_SEGMENTS):
        marker = MARKER.match(data, position)
        if marker is None:
            return None
        code, start = marker[1][0], marker.end()
        if code == END_OF_IMAGE:
            return Bare(b"".join((*kept, EOI)), told[EXIF_HEAD], told[XMP_HEAD], joined(profile), scans)
        end = start + int.from_bytes(data[start : start + 2])
        if end < start + 2:
            return None
        if code == START_OF_SCAN:
            scans += 1
            if scans > max_scans:
                raise ImageTooComplex(f"the image comes in more than {max_scans} scans")
            next_marker = AFTER_SCAN.search(data, end)
            if next_marker is None:
                return None
            end = next_marker.start()
        elif code == EXIF_OR_XMP:
            note(told, data[start + 2 : end])
        elif code == PROFILE and data.startswith(PROFILE_HEAD, start + 2):
            # One segment is too short for many a profile: they are numbered.
            body = data[start + 2 + len(PROFILE_HEAD) : end]
            profile.setdefault(body[0] if body else 0, body[2:])
        kept.append(needed(code, data[start:end]))
        position = end
    raise ImageTooComplex(f"the image has more than {MOST_SEGMENTS:,} segments")


def note(told: dict[bytes, bytes], body: bytes) -> None:
    """Keep what the first segment of its kind says."""
    for head in told:
        if body.startswith(head) and not told[head]:
            told[head] = body


def joined(profile: dict[int, bytes]) -> bytes:
    """The parts of a profile in their order; empty where it is larger than any."""
    size = sum(map(len, profile.values()))
    return b"".join(profile[number] for number in sorted(profile)) if size <= MOST_PROFILE_BYTES else b""


def needed(code: int, segment: bytes) -> bytes:
    """A segment as it is kept, from its length on; empty where a decoder can do without."""
    if code in TABLES_AND_FRAMES or code == START_OF_SCAN or (code == ADOBE and is_color_transform(segment)):
        return bytes((0xFF, code)) + segment
    return PLAIN_JFIF if code == JFIF and segment[2:7] == b"JFIF\x00" else b""


def is_color_transform(segment: bytes) -> bool:
    """Whether an application's segment is Adobe's, which says how components become colours, and only that."""
    return segment[:7] == b"\x00\x0eAdobe"
