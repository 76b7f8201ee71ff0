"""Gaussian blur and Sobel derivatives as small matrix products: exact at any width, fast on CPUs and GPUs."""

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=128)
def kernel(size: int, sigma: float, device: torch.device) -> Tensor:
    """Matrix `(size, size)` that blurs an axis, mirrored at its borders."""
    reach = math.ceil(3.5 * sigma)
    offset = torch.arange(-reach, reach + 1)
    weight = torch.exp(-(offset.double() ** 2) / (2 * sigma**2))
    source = (torch.arange(size)[:, None] + offset) % (2 * size)
    source = torch.minimum(source, 2 * size - 1 - source)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(1, source, (weight / weight.sum()).expand_as(source).contiguous())
    return matrix.to(device, torch.float32)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `x (..., h, w)`; `sigma` is in pixels, 0 means no blur."""
    if sigma == 0:
        return x
    height, width = x.shape[-2:]
    return kernel(height, sigma, x.device) @ x @ kernel(width, sigma, x.device).T


@lru_cache(maxsize=64)
def sobel(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Matrices `(size, size)` of the Sobel filter along an axis: derivative and smoothing."""
    place = torch.arange(size)
    slope, mean = torch.zeros(size, size), torch.eye(size) / 2
    for neighbour, sign in ((place - 1, -0.5), (place + 1, 0.5)):
        neighbour = neighbour.clamp(0, size - 1)
        slope[place, neighbour] += sign
        mean[place, neighbour] += 0.25
    return slope.to(device), mean.to(device)


def slopes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of `x (..., h, w)` to the right and down, by the Sobel filter."""
    (fall, level), (rise, even) = (sobel(size, x.device) for size in x.shape[-2:])
    return level @ x @ rise.T, fall @ x @ even.T
