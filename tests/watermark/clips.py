"""Clips to mark: photos in motion, as rendered for training, and how much marking changes a frame."""

import numpy as np
from PIL import Image

from cinemo_core.media import Frames
from cinemo_core.training.motions import draw_scene, render
from cinemo_core.training.sources import HELD_OUT, PHOTOS, dead_leaves, photo_path

NAMES = (*HELD_OUT, *PHOTOS)
MARGIN = 1.25
"""How much larger than a frame the photo is."""


def moving_photo(name: str, number: int, width: int, height: int, frames: int = 10) -> list[Frames]:
    """A photo in a random motion, `frames` times `(h, w, 3)` uint8."""
    return moving(np.array(enlarged(Image.open(photo_path(name)), width, height)), number, width, height, frames)


def rendered_clip(number: int, width: int, height: int, frames: int) -> list[Frames]:
    """One of any number of different clips: part of a photo or a generated texture, in random motion."""
    rng = np.random.default_rng(number)
    if number % 4 == 0:
        picture = dead_leaves(rng, round(height * MARGIN), round(width * MARGIN))
        return moving(picture, number, width, height, frames)
    photo = enlarged(Image.open(photo_path(NAMES[number % len(NAMES)])), 2 * width, 2 * height)
    left = int(rng.integers(photo.width - round(width * MARGIN)))
    top = int(rng.integers(photo.height - round(height * MARGIN)))
    part = photo.crop((left, top, left + round(width * MARGIN), top + round(height * MARGIN)))
    return moving(np.array(part), number, width, height, frames)


def moving(picture: Frames, number: int, width: int, height: int, frames: int) -> list[Frames]:
    scene = draw_scene(np.random.default_rng(number))
    return list(render(picture, scene.motions, scene.speed, frames, height, width)[0].numpy())


def enlarged(photo: Image.Image, width: int, height: int) -> Image.Image:
    """The photo at a size of which any part can be a frame."""
    scale = MARGIN * max(width / photo.width, height / photo.height)
    size = (round(photo.width * scale), round(photo.height * scale))
    return photo.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def psnr(one: Frames, other: Frames) -> float:
    """Of frames as pixels, in dB."""
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))
