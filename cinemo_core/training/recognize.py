"""Recognizes which of the known motions a clip shows: the one that best maps its first frame to the others."""

import math
from functools import lru_cache

import numpy as np
from PIL import Image
from skimage.transform import downscale_local_mean

from cinemo_core.detail.steady import UNIT_AREA
from cinemo_core.media import Frames
from cinemo_core.training.motions import MOTIONS, Motion, render

SPEEDS = tuple(tenths / 10 for tenths in range(1, 31))
"""In pixels per frame, as for `render`."""

EVERY, COARSE = 3, 4
RIM = 0.15
"""Share of each side that is cropped, as the first frame does not show what enters there."""

CLEARER = 0.9
"""Highest error of a recognized motion, relative to the error of standing still."""

PHOTOS_KEPT = 2
"""Number of photos whose guesses are cached, about 25 MB each."""


def recognize(frames: Frames, frame_rate_factor: int = 1) -> str | None:
    """The name in `MOTIONS` that explains a clip `(f, h, w, 3)` best; None if it is still or none does.

    `frame_rate_factor` is the clip's number of frames per frame of the model.
    """
    small = np.stack([reduced(frame) for frame in frames[:: EVERY * frame_rate_factor]])
    seen = coarse(small)
    known = guesses(small[0].tobytes(), small.shape[1], small.shape[2], len(seen))
    errors = {name: min(float(np.square(seen - guess).mean()) for guess in known[name]) for name in MOTIONS}
    best = min(errors, key=errors.__getitem__)
    return best if errors[best] < CLEARER * float(np.square(seen - seen[:1]).mean()) else None


def reduced(frame: Frames) -> Frames:
    """A frame `(h, w, 3)`, downscaled to the size that motions are defined for if it is larger."""
    height, width, _ = frame.shape
    scale = math.sqrt(UNIT_AREA / (height * width))
    if scale >= 1:
        return frame
    return np.asarray(
        Image.fromarray(frame).resize((round(width * scale), round(height * scale)), Image.Resampling.BOX)
    )


@lru_cache(PHOTOS_KEPT)
def guesses(first: bytes, height: int, width: int, frames: int) -> dict[str, list[np.ndarray]]:
    """A first frame under each motion at each speed; cached, as all clips of a photo share their first frame."""
    picture = np.frombuffer(first, np.uint8).reshape(height, width, 3).copy()
    return {name: [guess(picture, motion, speed, frames) for speed in SPEEDS] for name, motion in MOTIONS.items()}


def guess(picture: Frames, motion: Motion, speed: float, frames: int) -> np.ndarray:
    height, width, _ = picture.shape
    moved, _ = render(picture, (motion,), speed, frames, height, width, EVERY)
    return coarse(moved.numpy())


def coarse(frames: Frames) -> np.ndarray:
    """Frames without their rim at a quarter of the size, which removes grain."""
    height, width = frames.shape[1:3]
    top, left = int(height * RIM), int(width * RIM)
    inner = frames[:, top : height - top, left : width - left].astype(np.float32)
    small: np.ndarray = downscale_local_mean(inner, (1, COARSE, COARSE, 1))
    return small
