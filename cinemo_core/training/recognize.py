"""Which of the known motions a clip shows: the one by which its own first frame best becomes the others."""

from functools import lru_cache

import numpy as np
from skimage.transform import downscale_local_mean

from cinemo_core.media import Frames
from cinemo_core.training.motions import MOTIONS, render

SPEEDS = tuple(tenths / 10 for tenths in range(1, 31))
"""In pixels a frame, as `render` takes them; close together, since a shaking picture soon looks like another."""

EVERY, COARSE = 3, 4
RIM = 0.15
"""Share of each side that is left out: what comes into the picture there, the first frame cannot know."""

CLEARER = 0.9
"""A motion must leave at most so much of the error that standing still leaves."""

PHOTOS_KEPT = 2
"""Some 25 MB each at 192x128."""


def recognize(frames: Frames) -> str | None:
    """The name in `MOTIONS` that explains a clip `(f, h, w, 3)` best; None where it stands still or nothing does."""
    seen = coarse(frames[::EVERY])
    known = guesses(frames[0].tobytes(), frames.shape[1], frames.shape[2], len(seen))
    errors = {name: min(float(np.square(seen - guess).mean()) for guess in known[name]) for name in MOTIONS}
    best = min(errors, key=errors.__getitem__)
    return best if errors[best] < CLEARER * float(np.square(seen - seen[:1]).mean()) else None


@lru_cache(PHOTOS_KEPT)
def guesses(first: bytes, height: int, width: int, frames: int) -> dict[str, list[np.ndarray]]:
    """What a first frame becomes under each motion, at each speed; all clips of a photo begin with the same one."""
    picture = np.frombuffer(first, np.uint8).reshape(height, width, 3).copy()
    return {
        name: [coarse(render(picture, motion, EVERY * speed, frames, height, width).numpy()) for speed in SPEEDS]
        for name, motion in MOTIONS.items()
    }


def coarse(frames: Frames) -> np.ndarray:
    """Frames at a quarter of the size, without their rim: what moves, not the grain."""
    height, width = frames.shape[1:3]
    top, left = int(height * RIM), int(width * RIM)
    inner = frames[:, top : height - top, left : width - left].astype(np.float32)
    small: np.ndarray = downscale_local_mean(inner, (1, COARSE, COARSE, 1))
    return small
