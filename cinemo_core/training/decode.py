"""From a video file's bytes to one clip: which frames, found by their timestamps, scaled and cut to the middle."""

import io
from dataclasses import dataclass
from typing import cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation

from cinemo_core.errors import InvalidVideo
from cinemo_core.media import Frames
from cinemo_core.training.config import DataConfig


@dataclass(frozen=True)
class Cut:
    """Every `interval`-th frame from `start` on."""

    start: int
    interval: int


def choose_cut(available: int, config: DataConfig, rng: np.random.Generator) -> Cut:
    """Draw interval and start; the interval is as long as the video allows (arXiv 2407.15642, section 4.1).

    Raises:
        InvalidVideo: too short even for the smallest interval.
    """
    longest = min(config.max_interval, (available - 1) // (config.frames - 1))
    if longest < config.min_interval:
        needed = (config.frames - 1) * config.min_interval + 1
        raise InvalidVideo(f"{available} frames; {config.frames}, every {config.min_interval}th, need {needed}")
    interval = int(rng.integers(config.min_interval, longest + 1))
    start = int(rng.integers(available - (config.frames - 1) * interval))
    return Cut(start, interval)


def decode_clip(data: bytes, config: DataConfig, rng: np.random.Generator) -> Frames:
    """Decode one clip `(f, h, w, 3)` uint8, starting at the keyframe before it.

    Raises:
        InvalidVideo: the bytes are no video, are damaged where the clip lies, or hold too few frames.
    """
    try:
        with av.open(io.BytesIO(data), "r") as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            timestamps = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
            cut = choose_cut(len(timestamps), config, rng)
            last = cut.start + (config.frames - 1) * cut.interval
            wanted = timestamps[cut.start : last + 1 : cut.interval]
            container.seek(wanted[0], stream=stream, backward=True)
            frames = read_frames(container, stream, wanted, config)
    except (FFmpegError, IndexError, ValueError) as error:
        raise InvalidVideo(f"not a readable video: {error}") from error
    if len(frames) < config.frames:
        raise InvalidVideo(f"{config.frames - len(frames)} of the clip's frames cannot be decoded")
    return np.stack(frames)


def read_frames(
    container: av.container.InputContainer, stream: av.VideoStream, wanted: list[int], config: DataConfig
) -> list[Frames]:
    """The frames with these timestamps, as far as they can be decoded."""
    left = set(wanted)
    frames = []
    for frame in container.decode(stream):
        if frame.pts in left:
            left.remove(frame.pts)
            frames.append(fit(frame, config.width, config.height))
        if not left:
            break
    return frames


def fit(frame: av.VideoFrame, width: int, height: int) -> Frames:
    """Scale a frame to cover `width x height`, and cut the middle out of it."""
    scale = max(width / frame.width, height / frame.height)
    wide, tall = max(width, round(frame.width * scale)), max(height, round(frame.height * scale))
    scaled = frame.reformat(wide, tall, "rgb24", interpolation=Interpolation.AREA)
    top, left = (tall - height) // 2, (wide - width) // 2
    pixels = cast(Frames, scaled.to_ndarray())
    return pixels[top : top + height, left : left + width]
