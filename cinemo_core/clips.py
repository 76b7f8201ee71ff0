"""Reads untrusted videos, each decoded in a sandboxed process. Knows nothing of models."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cinemo_core.media import Frames
from cinemo_core.sandbox.decoder import decoder_of, never_stop
from cinemo_core.sandbox.limits import DEFAULT_LIMITS, MediaLimits
from cinemo_spec.errors import InvalidVideo
from cinemo_spec.ranges import check_ranges


def read_video(path: str | Path) -> tuple[Frames, float]:
    """Read all frames `(f, h, w, 3)` uint8 and the frame rate in frames per second, 0 if unknown.

    Raises:
        InvalidVideo: the file cannot be read, has no frames, or exceeds `MediaLimits`.
    """
    with naming(Path(path).name), decoder_of(path) as decoder:
        frames = list(decoder.first(None))
        if not frames:
            raise InvalidVideo("it has no frames")
    return np.stack(frames), decoder.rate


def load_clip(path: str | Path, count: int, interval: int = 1, name: str | None = None) -> Frames:
    """The first `count` of every `interval`-th frame `(f, h, w, 3)` uint8 of a file; decodes no more than needed.

    Errors mention `name`, or the file's own if not given.

    Raises:
        InvalidParameter: `interval` is not 1..100.
        InvalidVideo: the file cannot be read, is not MP4, QuickTime, WebM, Matroska, AVI, GIF or WebP, is too short, or
            exceeds `MediaLimits`.
    """
    check_ranges(frame_interval=interval)
    with naming(name or Path(path).name):
        return np.stack(list(read_clip(path, count, interval)))


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Prefix errors with a file's name."""
    try:
        yield
    except InvalidVideo as error:
        raise InvalidVideo(f"{name}: {error}") from error


def read_clip(
    path: str | Path,
    count: int,
    interval: int,
    limits: MediaLimits = DEFAULT_LIMITS,
    check: Callable[[], None] = never_stop,
    on_rate: Callable[[float], None] = lambda rate: None,
) -> Iterator[Frames]:
    """Decode the first `count` of every `interval`-th frame `(h, w, 3)` uint8 of an untrusted file, and no others.

    `check` is called between frames and while one is being decoded; raise in it to stop. After the last frame,
    `on_rate` is called with the frame rate in frames per second, 0 if unknown.

    Raises:
        InvalidVideo: as `load_clip`, with `limits` as its limits.
    """
    found = 0
    with decoder_of(path, limits, check) as decoder:
        for frame in decoder.first(count, interval):
            found += 1
            yield frame
        on_rate(decoder.rate)
    if found < count:
        needed = (count - 1) * interval + 1
        raise InvalidVideo(
            f"{count} frames, every {interval}th, need a video of {needed}; this one gave {found} of them"
        )


def sample_frames(frames: Frames, count: int, interval: int) -> Frames:
    """The first `count` of every `interval`-th frame.

    Raises:
        InvalidParameter: `interval` is not 1..100.
        InvalidVideo: the video is too short for that.
    """
    check_ranges(frame_interval=interval)
    needed = (count - 1) * interval + 1
    if len(frames) < needed:
        raise InvalidVideo(f"{count} frames, every {interval}th, need a video of {needed}, got {len(frames)}")
    return frames[:needed:interval]
