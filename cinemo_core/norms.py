"""Group norm over channels-last memory, clip by clip or frame by frame."""

import math

import torch
from einops import rearrange
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """Group norm with statistics over the frames of a clip, height and width together."""

    def forward(self, x: Tensor, frames: int = 1) -> Tensor:
        """Normalise `x ((b f), c, h, w)` clip by clip; one frame at a time by default.

        On a GPU, PyTorch's own group norm would copy `x` to channels-first memory, and the next convolution back.
        """
        if x.device.type == "cpu" or torch.is_grad_enabled():
            joined = rearrange(x, "(b f) c h w -> b c (f h) w", f=frames)
            return rearrange(super().forward(joined), "b c (f h) w -> (b f) c h w", f=frames)
        groups = rearrange(x, "(b f) (g d) h w -> b (f h w) g d", f=frames, g=self.num_groups)
        weight, bias = (each.unflatten(0, (self.num_groups, -1)) for each in (self.weight, self.bias))
        normed = normalize(groups, weight, bias, self.eps)
        return rearrange(normed, "b (f h w) g d -> (b f) (g d) h w", f=frames, h=x.shape[2])


def normalize(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Normalise `x (b, n, g, d)` over `n` and `d` where it lies, then scale and shift it by `(g, d)`.

    Needs six kernels and no copy. By the deviation instead of the variance, which overflows in float16; it has no
    gradient where it is 0.
    """
    deviation, mean = torch.std_mean(x, (1, 3), correction=0, keepdim=True)
    # A tensor on the same device: one on the host would keep a compiled network from CUDA graphs.
    scale = weight / torch.hypot(deviation, deviation.new_full((), math.sqrt(eps)))
    return torch.addcmul(torch.addcmul(bias, mean, scale, value=-1), x, scale)
