"""Still pictures to animate: scikit-image's photos and dead-leaves textures.

The photos named in `HELD_OUT` are never trained on; the quality figures are measured on them.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image

HELD_OUT = ("astronaut.png", "coffee.png")
PHOTOS = (
    "chelsea.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
    "ihc.png",
    "retina.jpg",
    "motorcycle_left.png",
    "camera.png",
    "coins.png",
    "moon.png",
    "brick.png",
    "grass.png",
    "gravel.png",
)
SHORT_SIDES = (160, 224, 320)

Picture = NDArray[np.uint8]


def photo_path(name: str) -> Path:
    """Path of a photo that scikit-image ships."""
    return Path(skimage.__file__).parent / "data" / name


def held_out() -> dict[str, Image.Image]:
    """Photos that no model is trained on, by name."""
    return {name.partition(".")[0]: Image.open(photo_path(name)) for name in HELD_OUT}


def copy_photos(folder: Path) -> None:
    """Copy the photos that scikit-image ships into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        shutil.copyfile(photo_path(name), folder / name)


def load_photos() -> list[Picture]:
    """All training photos, each at several sizes, as `(h, w, 3)` arrays."""
    pictures = []
    for name in PHOTOS:
        photo = Image.open(photo_path(name)).convert("RGB")
        for short_side in SHORT_SIDES:
            ratio = short_side / min(photo.size)
            size = (round(photo.width * ratio), round(photo.height * ratio))
            resized = photo.resize((max(size[0], 232), max(size[1], 160)), Image.Resampling.LANCZOS)
            pictures.append(np.asarray(resized))
    return pictures


def dead_leaves(rng: np.random.Generator, height: int = 192, width: int = 288) -> Picture:
    """Overlapping shaded ellipses with power-law radii: the edge statistics of photos (Lee, Mumford, Huang 2001)."""
    canvas = np.empty((height, width, 3), np.float32)
    canvas[:] = rng.uniform(0, 255, 3)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    for radius in np.sort(6 / rng.uniform(0.05, 1, 120) ** 0.8)[::-1]:
        y, x, angle = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0, np.pi)
        top, bottom = int(max(y - 2 * radius, 0)), int(min(y + 2 * radius + 1, height))
        left, right = int(max(x - 2 * radius, 0)), int(min(x + 2 * radius + 1, width))
        dy, dx = rows[top:bottom, left:right] - y, columns[top:bottom, left:right] - x
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        distance = np.hypot(along / radius, across / (radius * rng.uniform(0.4, 1.6)))
        cover = np.clip((1 - distance) * radius, 0, 1)[..., None]
        shade = rng.uniform(0, 255, 3) + (along / radius * rng.uniform(-40, 40))[..., None]
        stripes = rng.uniform(0, 35) * np.sin(along * rng.uniform(0.2, 1.5))[..., None]
        region = canvas[top:bottom, left:right]
        region += cover * (shade + stripes - region)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def recolour(picture: Picture, rng: np.random.Generator) -> Picture:
    """Augment a picture: mirror it, shuffle its channels and vary its contrast."""
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < 0.4:
        picture = picture[..., rng.permutation(3)]
    tones = np.arange(256) / 255
    curves = np.clip(tones[:, None] ** rng.uniform(0.7, 1.4, 3) * rng.uniform(0.75, 1.15, 3) * 255, 0, 255)
    return np.stack([curves[:, c].astype(np.uint8)[picture[..., c]] for c in range(3)], axis=-1)


if __name__ == "__main__":
    copy_photos(Path(sys.argv[1]))
