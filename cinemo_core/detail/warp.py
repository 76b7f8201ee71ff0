"""Warps pictures by a backward flow, and resizes pictures and flows.

A flow `(2, h, w)` gives for each pixel the offset to its source, `(right, down)` in pixels of the flow's own grid.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@lru_cache(maxsize=8)
def pixels(height: int, width: int, device: torch.device) -> Tensor:
    """Pixel coordinates `(2, h, w)`: x, then y."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack((x, y)).float()


def warp(picture: Tensor, flow: Tensor, mode: str = "bicubic", border: str = "border") -> Tensor:
    """Warp `picture (c, H, W)` by `flow (2, h, w)` to `(c, h, w)`.

    A picture finer than the flow's grid is sampled at the grid's points.
    """
    height, width = flow.shape[-2:]
    size = flow.new_tensor([width, height])[:, None, None]
    grid = (2 * (pixels(height, width, flow.device) + flow) + 1) / size - 1
    return F.grid_sample(
        picture[None], grid.permute(1, 2, 0)[None], mode=mode, padding_mode=border, align_corners=False
    )[0]


def inside(flow: Tensor, soft: float = 2.0) -> Tensor:
    """Mask `(h, w)`: 1 where the flow points into the picture, falling to 0 over `soft` pixels around its border."""
    height, width = flow.shape[-2:]
    size = flow.new_tensor([width, height])[:, None, None]
    place = pixels(height, width, flow.device) + flow
    depth = torch.minimum(place + 0.5, size - 0.5 - place).amin(0)
    return (depth / soft + 0.5).clamp(0, 1)


def resize(x: Tensor, height: int, width: int, mode: str = "bicubic") -> Tensor:
    """Resize `x (c, h, w)`: by area averaging if neither side grows, else by `mode`."""
    before = x.shape[-2:]
    if before == (height, width):
        return x
    if height <= before[0] and width <= before[1]:
        return F.interpolate(x[None], (height, width), mode="area")[0]
    return F.interpolate(x[None], (height, width), mode=mode, align_corners=False)[0]


def resize_flow(flow: Tensor, height: int, width: int, mode: str = "bicubic") -> Tensor:
    """Resample a flow to another grid, in pixels of that grid."""
    ratio = flow.new_tensor([width / flow.shape[-1], height / flow.shape[-2]])
    return resize(flow, height, width, mode) * ratio[:, None, None]
