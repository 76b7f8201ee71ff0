"""Indexes a video's frames and seeks to them. Runs only in the decoding process.

Seeking with the file's own index can overshoot: frames shown before the keyframe of an open GOP refer to the previous
GOP, and a fragment's index may not have been read yet. Missed frames are looked for again from an earlier keyframe.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.video.stream import VideoStream

KEYFRAMES_BACK = (1, 2, 5)
"""Keyframes to go back before a frame, in order of attempts; the last attempt starts at the beginning of the file."""


@dataclass(frozen=True)
class Index:
    """Timestamps of displayed frames in presentation order, and of keyframes, in the stream's time base.

    Attributes:
        is_by_order: the timestamps do not give the presentation order, so frames are identified by position.
    """

    times: list[int]
    keyframes: list[int]
    is_by_order: bool

    def starts_before(self, place: int) -> Iterator[int | None]:
        """Where to begin decoding, best first; None for the beginning of the file."""
        if not self.is_by_order:
            before = bisect_right(self.keyframes, self.times[place])
            yield from (self.keyframes[before - back] for back in KEYFRAMES_BACK if back < before)
        yield None


def index_of(source: InputContainer, stream: VideoStream) -> Index:
    """Read all packets without decoding any; those that an edit list discards are skipped."""
    times, keyframes, packets = set(), set(), 0
    for packet in source.demux(stream):
        if packet.size == 0:
            continue
        if packet.is_keyframe and packet.pts is not None:
            keyframes.add(packet.pts)
        if not packet.is_discard:
            packets += 1
            if packet.pts is not None:
                times.add(packet.pts)
    # AVI has no presentation timestamps, only decoding order.
    unordered = source.format.name == "avi" and bool(stream.codec_context.has_b_frames)
    if unordered or 2 * len(times) < packets:
        return Index(list(range(packets)), [], True)
    return Index(sorted(times), sorted(keyframes), False)


def keyed_from(
    source: InputContainer, stream: VideoStream, start: int | None, by_order: bool
) -> Iterator[tuple[int, av.VideoFrame]]:
    """The intact frames from a keyframe on, each with its timestamp, or its position if `by_order`."""
    if start is not None:
        source.seek(start, stream=stream, backward=True)
    for place, frame in enumerate(decodable(source, stream)):
        key = place if by_order else frame.pts
        if key is not None and not frame.is_corrupt:
            yield key, frame


def decodable(source: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """The frames of all undamaged packets."""
    for packet in source.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        yield from frames
