"""Adds the watermark to frames: the same pattern to each, stronger where texture hides it."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cinemo_core.media import LUMINANCE, Frames
from cinemo_core.watermark.lattice import draw_pattern
from cinemo_core.watermark.message import encode

Plane = NDArray[np.float32]

STRENGTH = 2.5
"""Standard deviation of the pattern in texture, on a scale of 0..255."""
WEAKEST = 0.4
"""Share of `STRENGTH` where there is no texture."""
HIDING = 8.0
"""Local standard deviation at which texture hides the whole pattern, less the share of plain areas."""
MAX_CHANGE = 1.95
"""Maximum standard deviation of the change in a frame: a PSNR of 42 dB, including rounding."""
CELL = 8
"""Side in pixels of the cells in which texture is measured."""


def watermarked(frames: Iterable[Frames], service_id: int) -> Iterator[Frames]:
    """Frames `(h, w, 3)` uint8 with the ID of a service, 0 to 2**32 - 1, in their pixels.

    All have the same size. The PSNR against the original frame is at least 42 dB.
    """
    pattern = None
    for frame in frames:
        if pattern is None:
            height, width, _ = frame.shape
            pattern = draw_pattern(height, width, encode(service_id))
        change = hidden(pattern, frame @ LUMINANCE)
        yield np.clip(np.rint(frame + change[..., None]), 0, 255).astype(np.uint8)


def hidden(pattern: Plane, luma: Plane) -> Plane:
    """The pattern, as strong as a frame's texture can hide."""
    change = STRENGTH * hiding(luma) * pattern
    deviation = float(np.sqrt(np.mean(change * change)))
    return change * min(1, MAX_CHANGE / max(deviation, 1e-6))


def hiding(luma: Plane) -> Plane:
    """Share of the pattern that each pixel's surroundings can hide: from `WEAKEST` without texture to 1."""
    height, width = luma.shape
    padded = np.pad(luma, ((0, -height % CELL), (0, -width % CELL)), "edge")
    cells = padded.reshape(padded.shape[0] // CELL, CELL, -1, CELL)
    share = np.clip(WEAKEST + cells.std((1, 3)) / HIDING, WEAKEST, 1)
    smooth = Image.fromarray(share).resize(padded.shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(smooth)[:height, :width]
