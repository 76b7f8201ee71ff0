"""The watermark's pattern: a tile that repeats over the frame, made of cosines of middle frequencies.

A third of the cosines, the pilot, are always the same, so that a detector can locate the tiles; the others carry the
message, each bit in the signs of several. Spread-spectrum marking: Cox, Kilian, Leighton and Shamoon, "Secure spread
spectrum watermarking for multimedia", IEEE Transactions on Image Processing 6(12), 1997.
"""

import math

import numpy as np
from numpy.typing import NDArray

Waves = NDArray[np.complex128]
"""Amplitude and phase `(n,)` of each cosine of a tile."""

TILES = 12
"""Number of tiles along the side of a square with the frame's area."""
SMALLEST_TILE = 80
"""Side in pixels; smaller tiles would not survive re-encoding of a small video."""
MIN_WAVES, MAX_WAVES = 2.5, 12.5
"""Range of a cosine's waves along a tile."""
HIGHEST = int(MAX_WAVES)
PILOT_SHARE = 1 / 3
SEED = 0x43_49_4E_45_4D_4F


def middle_frequencies() -> NDArray[np.int64]:
    """Waves along a tile, down and across, `(n, 2)`: one of each pair of opposite directions, in a shuffled order."""
    down, across = np.mgrid[0 : HIGHEST + 1, -HIGHEST : HIGHEST + 1].reshape(2, -1)
    radius = np.hypot(down, across)
    half = (down > 0) | (across > 0)
    found = np.stack([down, across], 1)[half & (radius >= MIN_WAVES) & (radius <= MAX_WAVES)]
    return np.random.Generator(np.random.PCG64(SEED)).permutation(found)


FREQUENCIES = middle_frequencies()
RADII = np.hypot(*FREQUENCIES.T)
PHASES = np.random.Generator(np.random.PCG64(SEED + 1)).uniform(0, 2 * np.pi, len(FREQUENCIES))
PILOT = np.arange(len(FREQUENCIES)) < PILOT_SHARE * len(FREQUENCIES)


def tile_side(height: int, width: int) -> float:
    """Side of a tile in pixels, in a frame of this size."""
    return max(math.sqrt(height * width) / TILES, SMALLEST_TILE)


def draw_pattern(height: int, width: int, waves: Waves) -> NDArray[np.float32]:
    """The pattern `(height, width)` of a frame, with a mean square of about 1."""
    grid = np.zeros((HIGHEST + 1, 2 * HIGHEST + 1), complex)
    grid[FREQUENCIES[:, 0], FREQUENCIES[:, 1] + HIGHEST] = waves
    side = tile_side(height, width)
    down = np.exp(2j * np.pi * np.outer(np.arange(height) / side, np.arange(HIGHEST + 1)))
    across = np.exp(2j * np.pi * np.outer(np.arange(-HIGHEST, HIGHEST + 1), np.arange(width) / side))
    pattern: NDArray[np.float32] = ((down @ grid @ across).real * math.sqrt(2 / len(FREQUENCIES))).astype(np.float32)
    return pattern
