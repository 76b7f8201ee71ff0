"""From a video file's bytes to one clip: which frames, drawn from how many there are, scaled and cut to the middle."""

import numpy as np

from cinemo_core.errors import InvalidVideo
from cinemo_core.media import Frames
from cinemo_core.sandbox.decoder import Decoder
from cinemo_core.sandbox.reading import Cut, Fitted
from cinemo_core.training.config import DataConfig


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


def decode_clip(decoder: Decoder, data: bytes, config: DataConfig, rng: np.random.Generator) -> Frames:
    """Decode one clip `(f, h, w, 3)` uint8, starting at the keyframe before it.

    Raises:
        InvalidVideo: the bytes are no video, are damaged where the clip lies, hold too few frames, or take more to
            decode than the decoder's limits allow.
    """
    chosen: list[Cut] = []

    def choose(available: int) -> Cut:
        # Drawn once, whoever asks again.
        if not chosen:
            chosen.append(choose_cut(available, config, rng))
        return chosen[0]

    return decoder.cut(data, Fitted(config.frames, config.width, config.height), choose)
