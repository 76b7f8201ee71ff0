"""DCTInit: the low frequencies of the initial noise come from the noised image, the rest from the noise.

An orthonormal DCT-II over frames, height and width, as three matrix products. Source: arXiv 2407.15642, section 3.4.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cinemo_spec.parameters import ANIMATE
from cinemo_spec.ranges import RANGES, check_range

if TYPE_CHECKING:
    # Takes seconds to load, which the processes that render datasets do without.
    from diffusers import DDIMScheduler


@dataclass(frozen=True)
class DCTInit:
    """How much of the image's layout the initial noise contains.

    Attributes:
        cutoff: share of rows and columns of coefficients taken from the image, 0..1.
        noise_level: timestep to which the image is noised, 0..999.

    Raises:
        InvalidParameter: one of them is out of its range.
    """

    cutoff: float = ANIMATE.noise_cutoff
    noise_level: int = ANIMATE.noise_level

    def __post_init__(self) -> None:
        check_range("cutoff", self.cutoff, RANGES["noise_cutoff"])
        check_range("noise_level", self.noise_level, RANGES["noise_level"])


def dct_matrix(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Orthonormal DCT-II `(size, size)`; its transpose is the inverse, DCT-III."""
    index = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi / size * (index + 0.5) * index[:, None]) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device, dtype)


def dct3(x: Tensor, inverse: bool = False) -> Tensor:
    """3-D DCT of `x (b, c, f, h, w)` over its last three axes, or its inverse.

    Computed in float64, whatever the dtype of `x`, as in the published code: cheap, and unaffected by TF32.
    """
    f, h, w = (dct_matrix(size, torch.float64, x.device) for size in x.shape[-3:])
    if inverse:
        f, h, w = f.T, h.T, w.T
    return torch.einsum("bcfhw,if,jh,kw->bcijk", x.double(), f, h, w).to(x.dtype)


def low_pass_mask(height: int, width: int, cutoff: float) -> Tensor:
    """Mask `(h, w)`, True where row and column are below the cutoff; all frame indices pass."""
    rows, columns = torch.arange(height) < int(cutoff * height), torch.arange(width) < int(cutoff * width)
    return rows[:, None] & columns


def refine_noise(
    noise: Tensor, image_latent: Tensor, scheduler: "DDIMScheduler", refinement: DCTInit = DCTInit()
) -> Tensor:
    """Replace the low frequencies of `noise (b, c, f, h, w)` by those of `image_latent (b, c, 1, h, w)`, noised."""
    timestep = torch.tensor([refinement.noise_level], device=noise.device)
    noised = scheduler.add_noise(image_latent.expand_as(noise), noise, timestep)
    height, width = noise.shape[-2:]
    mask = low_pass_mask(height, width, refinement.cutoff).to(noise.device)
    return dct3(torch.where(mask, dct3(noised), dct3(noise)), inverse=True)
