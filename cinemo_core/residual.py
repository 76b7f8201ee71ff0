"""Motion residuals: each frame's latent minus the first frame's (arXiv 2407.15642, eq. 3)."""

import torch
from torch import Tensor


def split_residual(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Clip latents `(b, c, f + 1, h, w)` to `z1 (b, c, 1, h, w)` and the residual `(b, c, f, h, w)`."""
    image_latent = latents[:, :, :1]
    return image_latent, latents[:, :, 1:] - image_latent


def compose(image_latent: Tensor, residual: Tensor) -> Tensor:
    """Inverse of `split_residual`."""
    return torch.cat((image_latent, residual + image_latent), dim=2)
