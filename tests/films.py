"""Clips with known motion."""

import numpy as np
from PIL import Image

from cinemo_core.media import Frames, prepare_image

WIDTH, HEIGHT = 144, 96


def film(photo: Image.Image, down: int, right: int, frames: int = 16) -> Frames:
    """A camera that moves evenly over a photo, so that its content moves by `down` and `right` pixels."""
    scene = np.asarray(prepare_image(photo, WIDTH + 48, HEIGHT + 32))
    places = [(16 - round(down * t), 24 - round(right * t)) for t in np.linspace(0, 1, frames)]
    return np.stack([scene[top : top + HEIGHT, left : left + WIDTH] for top, left in places])
