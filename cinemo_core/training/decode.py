"""Decodes one random clip from a video file's bytes, scaled and center-cropped."""

import numpy as np

from cinemo_core.media import Frames
from cinemo_core.sandbox.decoder import Decoder, FramesMissing
from cinemo_core.sandbox.reading import Cut, Fitted
from cinemo_spec.errors import InvalidVideo
from cinemo_spec.training import DataConfig

RANDOM_TRIES, ORDERLY_TRIES = 4, 16


def choose_cut(available: int, config: DataConfig, rng: np.random.Generator) -> Cut:
    """Draw interval and start; the video's length limits the interval (arXiv 2407.15642, section 4.1).

    Raises:
        InvalidVideo: the video is too short even for the smallest interval.
    """
    longest = min(config.max_interval, (available - 1) // (config.frames - 1))
    if longest < config.min_interval:
        needed = (config.frames - 1) * config.min_interval + 1
        raise InvalidVideo(f"{available} frames; {config.frames}, every {config.min_interval}th, need {needed}")
    interval = int(rng.integers(config.min_interval, longest + 1))
    start = int(rng.integers(available - (config.frames - 1) * interval))
    return Cut(start, interval)


def decode_clip(decoder: Decoder, data: bytes, config: DataConfig, rng: np.random.Generator) -> Frames:
    """Decode one clip `(f, h, w, 3)` uint8; if a cut is damaged, try other random cuts, then evenly spaced ones.

    Raises:
        InvalidVideo: the bytes are not a video, have too few frames, exceed the decoder's limits, or are damaged
            in every cut.
    """
    cuts: list[Cut] = []
    wanted = Fitted(config.frames, config.width, config.height)

    def choose(available: int) -> Cut:
        if not cuts:
            cuts.extend(cuts_of(available, config, rng))
        return cuts[tried]

    tried = 0
    while True:
        try:
            return decoder.cut(data, wanted, choose)
        except FramesMissing:
            tried += 1
            if tried == len(cuts):
                raise


def cuts_of(available: int, config: DataConfig, rng: np.random.Generator) -> list[Cut]:
    """Cuts to try, in order: some random ones, then the shortest ones from the beginning of the video to its end."""
    drawn = [choose_cut(available, config, rng) for _ in range(RANDOM_TRIES)]
    span = (config.frames - 1) * config.min_interval
    starts = np.linspace(0, available - 1 - span, ORDERLY_TRIES).astype(int)
    return [*drawn, *(Cut(int(start), config.min_interval) for start in dict.fromkeys(starts))]
