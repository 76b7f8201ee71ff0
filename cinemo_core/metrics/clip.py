"""Metrics of a single clip's pixels."""

import numpy as np
from numpy.typing import NDArray

from cinemo_core.media import Frames

LEVELS = 8


def input_consistency(frames: Frames) -> float:
    """How well the later frames `(f, h, w, 3)` preserve the first frame's colours, 0..1.

    The mean intersection of colour histograms with eight levels per channel: independent of motion, and reduced by
    fading, grain and new colours (Swain and Ballard 1991, eq. 2).
    """
    first, *others = (colour_histogram(frame) for frame in frames)
    return float(np.mean([np.minimum(first, other).sum() for other in others]))


def colour_histogram(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Share of the pixels `(h, w, 3)` in each of 8x8x8 colours."""
    red, green, blue = np.moveaxis(frame.astype(np.int64) * LEVELS // 256, -1, 0)
    counts = np.bincount(((red * LEVELS + green) * LEVELS + blue).ravel(), minlength=LEVELS**3)
    return counts / counts.sum()


def motion_smoothness(frames: Frames) -> float:
    """The median jump between frames divided by the largest, 0..1: 1 is even motion, near 0 there is a cut.

    A jump is the mean absolute difference of consecutive frames `(f, h, w, 3)`; a still clip is smooth.
    """
    jumps = np.abs(np.diff(frames.astype(np.float64), axis=0)).mean(axis=(1, 2, 3))
    return float(np.median(jumps) / jumps.max()) if jumps.max() > 0 else 1.0
