"""Clips with known motion: a photo filmed by a moving camera, at the video's size and at the model's."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cinemo_core.detail.warp import resize
from cinemo_core.training.sources import photo_path


@dataclass(frozen=True)
class Scene:
    """`truth (f + 1, 3, H, W)`, `small (f + 1, 3, h, w)`, and the `flow (f, 2, h, w)` of the small frames."""

    truth: Tensor
    small: Tensor
    flow: Tensor

    @property
    def full_bytes(self) -> NDArray[np.uint8]:
        return to_bytes(self.truth[:1])[0]

    @property
    def small_bytes(self) -> NDArray[np.uint8]:
        return to_bytes(self.small)


def photo(name: str, height: int, width: int) -> Tensor:
    """A photo of scikit-image, `(3, height, width)`, cut to that shape."""
    picture = Image.open(photo_path(name)).convert("RGB")
    ratio = max(width / picture.width, height / picture.height)
    picture = picture.resize((max(width, round(picture.width * ratio)), max(height, round(picture.height * ratio))))
    return torch.from_numpy(np.asarray(picture)[:height, :width].copy()).permute(2, 0, 1).float() / 255


def pan(name: str = "coffee.png", step: float = 1.5, frames: int = 4, size: tuple[int, int] = (64, 96)) -> Scene:
    """A camera that pans right over a photo four times as large, by `step` small pixels per frame."""
    height, width = size
    small_flow = [torch.stack((torch.full(size, step * t), torch.zeros(size))) for t in range(frames + 1)]
    margin = 4 * int(step * frames + 2)
    world = photo(name, 4 * height, 4 * width + margin)
    views = [
        F.grid_sample(
            world[None], grid(4 * height, 4 * width, world.shape[-1], 4 * step * t), "bicubic", align_corners=False
        )[0].clamp(0, 1)
        for t in range(frames + 1)
    ]
    truth = (torch.stack(views) * 255).round() / 255
    return Scene(truth, torch.stack([resize(view, height, width) for view in truth]), torch.stack(small_flow[1:]))


def grid(height: int, width: int, world_width: int, right: float) -> Tensor:
    y = (2 * torch.arange(height) + 1) / height - 1
    x = (2 * (torch.arange(width) + right) + 1) / world_width - 1
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]


def to_bytes(pictures: Tensor) -> NDArray[np.uint8]:
    return (pictures * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def psnr(one: Tensor, other: Tensor) -> float:
    return -10 * float(((one - other) ** 2).mean().clamp(min=1e-10).log10())
