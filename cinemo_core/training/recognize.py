"""Which of the known motions a clip shows: the one by which its own first frame best becomes the others."""

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


def recognize(frames: Frames) -> str | None:
    """The name in `MOTIONS` that explains a clip `(f, h, w, 3)` best; None where it stands still or nothing does."""
    seen = coarse(frames[::EVERY])
    errors = {name: min(unexplained(seen, frames[0], name, speed) for speed in SPEEDS) for name in MOTIONS}
    best = min(errors, key=errors.__getitem__)
    return best if errors[best] < CLEARER * float(np.square(seen - seen[:1]).mean()) else None


def unexplained(seen: np.ndarray, first: np.ndarray, name: str, speed: float) -> float:
    """Mean squared difference of what is seen from a motion of the first frame."""
    height, width = first.shape[:2]
    guess = render(first, MOTIONS[name], EVERY * speed, len(seen), height, width)
    return float(np.square(seen - coarse(guess.numpy())).mean())


def coarse(frames: Frames) -> np.ndarray:
    """Frames at a quarter of the size, without their rim: what moves, not the grain."""
    height, width = frames.shape[1:3]
    top, left = int(height * RIM), int(width * RIM)
    inner = frames[:, top : height - top, left : width - left].astype(np.float32)
    small: np.ndarray = downscale_local_mean(inner, (1, COARSE, COARSE, 1))
    return small
