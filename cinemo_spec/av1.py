"""Determines the decoded size of an AVIF from its AV1 headers, which the container can contradict.

Boxes are those of ISO/IEC 14496-12 and 23008-12, units (OBU) those of the AV1 bitstream specification, section 5.
Nothing is decoded.
"""

from collections.abc import Callable, Iterator
from itertools import islice

MAX_BOXES = 10_000
SEQUENCE_HEADER = 1
Span = tuple[int, int]


class Unreadable(ValueError):
    """The file violates the specifications."""


def coded_pixels(avif: bytes) -> int:
    """Pixels of the largest picture in the file.

    Raises:
        Unreadable: the size cannot be determined.
    """
    try:
        meta = next(span for name, span in boxes(avif, (0, len(avif))) if name == b"meta")
        parts = dict(boxes(avif, (meta[0] + 4, meta[1])))
        coded = set(coded_items(avif, parts[b"iinf"]))
        sizes = [
            size
            for item, span in extents(avif, parts[b"iloc"], parts.get(b"idat", (0, 0)))
            if item in coded
            for size in sequence_sizes(avif[slice(*span)])
        ]
        return max(sizes)
    except (StopIteration, KeyError, ValueError, IndexError) as error:
        raise Unreadable("its size cannot be determined") from error


def boxes(data: bytes, within: Span) -> Iterator[tuple[bytes, Span]]:
    """Types of boxes, and the ranges of their contents."""
    at, end = within
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return
        size, head = number(data, at, 4), 8
        if size == 1:
            size, head = number(data, at + 8, 8), 16
        last = end if size == 0 else at + size
        if not at + head <= last <= end:
            return
        yield data[at + 4 : at + 8], (at + head, last)
        at = last


def coded_items(data: bytes, box: Span) -> Iterator[int]:
    """IDs of the items that are AV1 pictures."""
    wide = data[box[0]] > 0
    for name, (at, _) in boxes(data, (box[0] + (8 if wide else 6), box[1])):
        version = data[at]
        if name == b"infe" and version >= 2:
            length = 2 if version == 2 else 4
            kind = at + 4 + length + 2
            if data[kind : kind + 4] == b"av01":
                yield number(data, at + 4, length)


def extents(data: bytes, box: Span, idat: Span) -> Iterator[tuple[int, Span]]:
    """Items and their byte ranges; items in several pieces, which encoders do not write, are rejected."""
    at = box[0]
    version = data[at]
    offset_bytes, length_bytes = data[at + 4] >> 4, data[at + 4] & 15
    base_bytes, index_bytes = data[at + 5] >> 4, data[at + 5] & 15 if version else 0
    wide = 2 if version < 2 else 4
    count, at = number(data, at + 6, wide), at + 6 + wide
    for _ in range(min(count, MAX_BOXES)):
        item, at = number(data, at, wide), at + wide
        method = 0
        if version:
            method, at = data[at + 1] & 15, at + 2
        base, at = number(data, at + 2, base_bytes), at + 2 + base_bytes
        pieces, at = number(data, at, 2), at + 2
        if pieces != 1 or method > 1:
            raise Unreadable(item)
        at += index_bytes
        start, at = base + number(data, at, offset_bytes) + (idat[0] if method else 0), at + offset_bytes
        length, at = number(data, at, length_bytes), at + length_bytes
        yield item, (start, start + length if length else len(data))


def number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "big")


def sequence_sizes(item: bytes) -> Iterator[int]:
    """Pixels that each sequence header of an item declares."""
    at, found = 0, False
    for _ in range(MAX_BOXES):
        if at >= len(item):
            break
        head, at = item[at], at + (2 if item[at] & 4 else 1)
        length, at = leb128(item, at) if head & 2 else (len(item) - at, at)
        if head >> 3 & 15 == SEQUENCE_HEADER:
            found = True
            yield sequence_pixels(bits(item[at : at + length]))
        at += length
    if not found:
        raise Unreadable("no sequence header")


def leb128(data: bytes, at: int) -> tuple[int, int]:
    """Decode a variable-length integer; returns it and the offset behind it."""
    value = 0
    for place in range(8):
        value |= (data[at + place] & 127) << 7 * place
        if data[at + place] < 128:
            return value, at + place + 1
    raise Unreadable("an unterminated number")


def bits(data: bytes) -> Iterator[int]:
    return (byte >> place & 1 for byte in data for place in range(7, -1, -1))


def sequence_pixels(source: Iterator[int]) -> int:
    """Width times height of the largest frame of a sequence (section 5.5.1)."""

    def read(count: int) -> int:
        taken = list(islice(source, count))
        if len(taken) < count:
            raise Unreadable("a truncated header")
        return sum(bit << place for place, bit in enumerate(reversed(taken)))

    read(4)
    if read(1):
        read(5)
    else:
        skip_operating_points(read)
    width_bits, height_bits = read(4) + 1, read(4) + 1
    return (read(width_bits) + 1) * (read(height_bits) + 1)


def skip_operating_points(read: Callable[[int], int]) -> None:
    """Skip timing and level information, which still pictures do not need."""
    delay_bits = 0
    if read(1):
        read(64)
        if read(1):
            zeros = next(count for count in range(32) if read(1))
            read(zeros)
        if read(1):
            delay_bits = read(5) + 1
            read(42)
    shown_delay = read(1)
    for _ in range(read(5) + 1):
        read(12)
        if read(5) > 7:
            read(1)
        if delay_bits and read(1):
            read(2 * delay_bits + 1)
        if shown_delay and read(1):
            read(4)
