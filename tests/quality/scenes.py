"""Scenes with known ground truth: a photo in motion, occluding objects, and a small model's noise."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image
from torch import Tensor

from cinemo_core.dct import dct_matrix
from cinemo_core.detail.transfer import pictures
from cinemo_core.detail.warp import resize
from cinemo_core.media import prepare_image
from cinemo_core.training.motions import MOTIONS
from cinemo_core.training.sources import photo_path

HEIGHT, WIDTH = 512, 768
LOW_HEIGHT, LOW_WIDTH = 128, 192
FRAMES = 16
# Room around the picture, for what a pan reveals.
ROOM = 1.18
# Of what passes: its radius and its steps to the right and up, in pixels of the model.
RADIUS, RIGHT, UP = 26.0, 5.0, 1.2
CELL, KEPT = 8, 3


@dataclass(frozen=True)
class Scene:
    """`truth (f, 3, H, W)` and what a model makes of it, `small (f, 3, h, w)`, 0..1; the first is the photo."""

    name: str
    truth: Tensor
    small: Tensor


@lru_cache(maxsize=8)
def photo(name: str) -> Tensor:
    """A photo of scikit-image `(3, H, W)`, with a margin around the visible part."""
    picture = prepare_image(Image.open(photo_path(name)), round(WIDTH * ROOM), round(HEIGHT * ROOM))
    return pictures(np.asarray(picture)[None], "cpu")[0]


def at(picture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`picture (3, h, w)` at places, in the model's pixels from its middle."""
    grid = torch.stack((2 * x / LOW_WIDTH * WIDTH / picture.shape[-1], 2 * y / LOW_HEIGHT * HEIGHT / picture.shape[-2]))
    grid = grid.permute(1, 2, 0)[None]
    return F.grid_sample(picture[None], grid, "bicubic", padding_mode="reflection", align_corners=False)[0]


def view(name: str, motion: str, speed: float, time: float, passing: str | None = None) -> Tensor:
    """The camera's view at a time, in frames; a disc of the photo `passing` crosses the picture."""
    kind = MOTIONS[motion]
    across, down = (
        ((torch.arange(size) + 0.5) / size - 0.5) * low for size, low in ((WIDTH, LOW_WIDTH), (HEIGHT, LOW_HEIGHT))
    )
    y, x = torch.meshgrid(down, across, indexing="ij")
    seen = at(photo(name), *kind.flow(x, y, speed, time))
    if passing is not None:
        near, above = x + 45 - RIGHT * time, y - 12 + UP * time
        disc = ((RADIUS - torch.hypot(near, above)) * WIDTH / LOW_WIDTH).clamp(0, 1)
        seen = torch.lerp(seen, at(photo(passing), near, above), disc)
    light = 1 + kind.light * min(speed, 1.5) / 1.5 * time / (FRAMES - 1)
    return (seen * light * 255).round().clamp(0, 255) / 255


def scene(name: str, motion: str, speed: float, passing: str | None = None) -> Scene:
    truth = torch.stack([view(name, motion, speed, time, passing) for time in range(FRAMES)])
    small = torch.stack([resize(frame, LOW_HEIGHT, LOW_WIDTH) for frame in truth])
    return Scene(f"{name.partition('.')[0]}, {(passing and 'a disc passes') or motion}", truth, eight_bit(small))


def grainy(scene: Scene, seed: int = 0) -> Scene:
    """The scene as drawn by a weak model: blocks of few components, with growing errors."""
    generator = torch.Generator().manual_seed(seed)
    basis = dct_matrix(CELL, torch.float32, torch.device("cpu"))[:KEPT]
    blocks = rearrange(scene.small, "f c (h i) (w j) -> f c h w i j", i=CELL, j=CELL)
    parts = basis @ blocks @ basis.T
    errors = torch.randn(parts.shape, generator=generator).cumsum(0) / FRAMES**0.5
    parts = parts + errors * parts[0].std((0, 1, 2)) * 0.4 * (torch.arange(FRAMES) > 0)[:, None, None, None, None, None]
    drawn = rearrange(basis.T @ parts @ basis, "f c h w i j -> f c (h i) (w j)").clamp(0, 1)
    return replace(scene, name=f"{scene.name}, grainy", small=torch.cat((scene.small[:1], eight_bit(drawn[1:]))))


def eight_bit(pictures: Tensor) -> Tensor:
    return (pictures * 255).round() / 255
