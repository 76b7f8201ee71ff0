"""Reads the segments of a JPEG file (ITU-T T.81, annex B) and keeps those that a decoder needs. Decodes no pixels."""

import re

from cinemo_spec.colour import MAX_PROFILE_BYTES
from service.contract.problems import ImageTooComplex
from service.media.containers import ImageFile

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
START_OF_SCAN, END_OF_IMAGE, JFIF, EXIF_OR_XMP, PROFILE, ADOBE = 0xDA, 0xD9, 0xE0, 0xE1, 0xE2, 0xEE
TABLES_AND_FRAMES = frozenset({*range(0xC0, 0xC8), *range(0xC9, 0xD0), 0xDB, 0xDD})
"""Quantisation and entropy tables, restart intervals, and frame headers; 0xC8 is reserved."""
HUFFMAN_FRAMES = frozenset({0xC0, 0xC1})
"""Sequential frames: whatever is wrong in their scans, a decoder makes up for, and reports nothing."""
SAMPLE_BYTES = 2048
"""How much of a scan a sample keeps."""
SAMPLE_ROWS = 32
"""How high a sample is at most: as high as a row of the largest blocks, as decoders fill up what is missing."""
MAX_SEGMENTS = 2000
"""Cameras and editors write a few hundred into the largest file allowed."""

MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""Within a scan, 0xff00 is an escaped byte and 0xffd0 to 0xffd7 are restart markers; any other marker ends it."""

PLAIN_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""States that three components are YCbCr; without a thumbnail."""
PROFILE_HEADER = b"ICC_PROFILE\x00"
EXIF_HEADER, XMP_HEADER = b"Exif\x00\x00", b"http://ns.adobe.com/xap/1.0/\x00"


def parse_jpeg(data: bytes, max_scans: int) -> ImageFile | None:
    """The first picture of a file, without its metadata, comments and thumbnail, and without anything after it.

    None if the segments violate the standard or are truncated.

    Raises:
        ImageTooComplex: the picture has too many segments, or more than `max_scans` scans, each of which, even an
            empty one, makes a decoder pass over the whole picture.
    """
    if not data.startswith(SOI):
        return None
    kept, position, scans = [SOI], len(SOI), 0
    metadata = {EXIF_HEADER: b"", XMP_HEADER: b""}
    profile: dict[int, bytes] = {}
    for _ in range(MAX_SEGMENTS):
        marker = MARKER.match(data, position)
        if marker is None:
            return None
        code, start = marker[1][0], marker.end()
        if code == END_OF_IMAGE:
            exif, xmp = metadata[EXIF_HEADER], metadata[XMP_HEADER]
            kept.append(EOI)
            return ImageFile(b"".join(kept), exif, xmp, join_profile(profile), scans, sample_of(kept))
        end = start + int.from_bytes(data[start : start + 2])
        if end < start + 2:
            return None
        if code == START_OF_SCAN:
            scans += 1
            if scans > max_scans:
                raise ImageTooComplex(f"the image has more than {max_scans} scans")
            next_marker = AFTER_SCAN.search(data, end)
            if next_marker is None:
                return None
            end = next_marker.start()
        elif code == EXIF_OR_XMP:
            keep_first(metadata, data[start + 2 : end])
        elif code == PROFILE and data.startswith(PROFILE_HEADER, start + 2):
            # A profile may be longer than a segment: its chunks are numbered.
            body = data[start + 2 + len(PROFILE_HEADER) : end]
            profile.setdefault(body[0] if body else 0, body[2:])
        kept.append(kept_segment(code, data[start - 2 : end]))
        position = end
    raise ImageTooComplex(f"the image has more than {MAX_SEGMENTS:,} segments")


def sample_of(segments: list[bytes]) -> bytes:
    """The top of the picture and the beginning of its only scan, which a decoder takes or refuses as it does the whole.

    Empty for several scans, or a frame in which a decoder refuses more than tables and headers.
    """
    codes = [each[1] for each in segments if each]
    if codes.count(START_OF_SCAN) != 1 or HUFFMAN_FRAMES.isdisjoint(codes):
        return b""
    return b"".join(beginning_of(each) for each in segments)


def beginning_of(segment: bytes) -> bytes:
    """The part of a segment that a sample keeps: all, except of scans; frames with fewer rows."""
    code = segment[1] if segment else 0
    if code == START_OF_SCAN:
        return segment[: 2 + int.from_bytes(segment[2:4]) + SAMPLE_BYTES]
    if code not in HUFFMAN_FRAMES:
        return segment
    # After the marker and the length: the precision, in one byte, and the number of rows in two.
    rows = min(int.from_bytes(segment[5:7]), SAMPLE_ROWS)
    return segment[:5] + rows.to_bytes(len(segment[5:7])) + segment[7:]


def keep_first(metadata: dict[bytes, bytes], body: bytes) -> None:
    """Store a segment under its header, unless there is one already."""
    for header in metadata:
        if body.startswith(header) and not metadata[header]:
            metadata[header] = body


def join_profile(chunks: dict[int, bytes]) -> bytes:
    """A profile from its numbered chunks; empty if too large."""
    size = sum(map(len, chunks.values()))
    return b"".join(chunks[number] for number in sorted(chunks)) if size <= MAX_PROFILE_BYTES else b""


def kept_segment(code: int, segment: bytes) -> bytes:
    """What to write for a segment, given with its marker; empty if a decoder does not need it."""
    if code in TABLES_AND_FRAMES or code == START_OF_SCAN or (code == ADOBE and is_color_transform(segment)):
        return segment
    return PLAIN_JFIF if code == JFIF and segment[4:9] == b"JFIF\x00" else b""


def is_color_transform(segment: bytes) -> bool:
    """Whether an application segment is Adobe's, which only states how components become colours."""
    return segment[2:9] == b"\x00\x0eAdobe"
