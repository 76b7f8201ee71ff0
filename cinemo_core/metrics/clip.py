"""Metrics of a single clip's pixels."""

import numpy as np
from numpy.typing import NDArray

from cinemo_core.media import Frames

LEVELS = 8


def input_consistency(frames: Frames) -> float:
    """How much of the first frame's colours the later frames `(f, h, w, 3)` keep, 0..1.

    The mean intersection of the colour histograms, eight levels a channel: blind to where things move, and lowered by
    what should not happen to them, such as fading, grain and foreign colours (Swain and Ballard 1991, eq. 2).
    """
    first, *others = (colour_histogram(frame) for frame in frames)
    return float(np.mean([np.minimum(first, other).sum() for other in others]))


def colour_histogram(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Shares of the pixels `(h, w, 3)` in each of 8x8x8 colours."""
    red, green, blue = np.moveaxis(frame.astype(np.int64) * LEVELS // 256, -1, 0)
    counts = np.bincount(((red * LEVELS + green) * LEVELS + blue).ravel(), minlength=LEVELS**3)
    return counts / counts.sum()


def motion_smoothness(frames: Frames) -> float:
    """The median jump from frame to frame over the largest one, 0..1: 1 moves evenly, near 0 holds a cut.

    A jump is the mean absolute difference of consecutive frames `(f, h, w, 3)`; a clip that stands still is smooth.
    """
    jumps = np.abs(np.diff(frames.astype(np.float64), axis=0)).mean(axis=(1, 2, 3))
    return float(np.median(jumps) / jumps.max()) if jumps.max() > 0 else 1.0
