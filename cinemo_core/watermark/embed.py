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
"""Of the pattern in texture, as a standard deviation of 0..255."""
WEAKEST = 0.4
"""Share of that on plain ground."""
HIDING = 8.0
"""Standard deviation of pixels next to each other from which texture hides all of it, less the plain ground's share."""
MOST_CHANGE = 1.95
"""Standard deviation of the change in a frame: a PSNR of 42 dB, with what rounding adds."""
CELL = 8
"""Pixels along a cell in which texture is measured."""


def watermarked(frames: Iterable[Frames], service_id: int) -> Iterator[Frames]:
    """Frames `(h, w, 3)` uint8 with the ID of a service, 0 to 2**32 - 1, in their pixels.

    All are of one size. The PSNR of each to the frame as it was is 42 dB or more.
    """
    pattern = None
    for frame in frames:
        if pattern is None:
            height, width, _ = frame.shape
            pattern = draw_pattern(height, width, encode(service_id))
        change = hidden(pattern, frame @ LUMINANCE)
        yield np.clip(np.rint(frame + change[..., None]), 0, 255).astype(np.uint8)


def hidden(pattern: Plane, luma: Plane) -> Plane:
    """The pattern as strong as a frame's texture hides it."""
    change = STRENGTH * hiding(luma) * pattern
    deviation = float(np.sqrt(np.mean(change * change)))
    return change * min(1, MOST_CHANGE / max(deviation, 1e-6))


def hiding(luma: Plane) -> Plane:
    """How much of the pattern each pixel's surroundings hide, 0..1: `WEAKEST` where there is no texture."""
    height, width = luma.shape
    padded = np.pad(luma, ((0, -height % CELL), (0, -width % CELL)), "edge")
    cells = padded.reshape(padded.shape[0] // CELL, CELL, -1, CELL)
    share = np.clip(WEAKEST + cells.std((1, 3)) / HIDING, WEAKEST, 1)
    smooth = Image.fromarray(share).resize(padded.shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(smooth)[:height, :width]
