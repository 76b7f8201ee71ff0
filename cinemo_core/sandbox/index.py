"""Which frames a video has, and how to come to one of them. Runs in the process that decodes alone.

A file's own index may lead past the frame that is sought: at a keyframe of an open group the frames shown before it
refer to the group before, a fragment's index may not be read yet. So what is missed is sought from further back.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.video.stream import VideoStream

KEYFRAMES_BACK = (1, 2, 5)
"""How many keyframes before a frame decoding begins, one try after the other; in the end, at the beginning."""


@dataclass(frozen=True)
class Index:
    """The times of all frames that are shown, in their order, and those of keyframes, in the stream's own unit.

    Attributes:
        is_by_order: the file's times say nothing of the order in which frames are shown: they can be counted alone.
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
    """Read all packets, and decode none; those that an edit list leaves out are not shown."""
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
    # AVI has no time at which a frame is shown, only that at which it is decoded.
    unordered = source.format.name == "avi" and bool(stream.codec_context.has_b_frames)
    if unordered or 2 * len(times) < packets:
        return Index(list(range(packets)), [], True)
    return Index(sorted(times), sorted(keyframes), False)


def keyed_from(
    source: InputContainer, stream: VideoStream, start: int | None, by_order: bool
) -> Iterator[tuple[int, av.VideoFrame]]:
    """The frames from a keyframe on that can be decoded whole, each with its time, or else its place."""
    if start is not None:
        source.seek(start, stream=stream, backward=True)
    for place, frame in enumerate(decodable(source, stream)):
        key = place if by_order else frame.pts
        if key is not None and not frame.is_corrupt:
            yield key, frame


def decodable(source: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """The frames of those packets that are not damaged."""
    for packet in source.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        yield from frames
