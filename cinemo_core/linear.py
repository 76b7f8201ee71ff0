"""Layers that are one matrix product over rows of channels, by the fastest routine of the device.

Channels-last memory makes tokens and pixels the same rows, so a linear layer and a 1x1 convolution move no data.
"""

from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from cinemo_core import winograd

ONEDNN = torch.backends.mkldnn.is_available()
# Which algorithm convolves; measured with AVX2. oneDNN reorders a convolution's weights in every call, and Winograd's
# algorithm transforms them: for few pixels and many channels, either takes longer than the convolution. For few
# channels, so does transforming the pixels.
FEW_PIXELS = 512
WINOGRAD_CHANNELS = 256
MANY_CHANNELS = 1024


class Linear(nn.Linear):
    """A linear layer whose product is `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """`x (..., c)` to `(..., c')`."""
        return linear(x, self.weight, self.bias)


class PixelwiseConv(nn.Conv2d):
    """A 1x1 convolution, computed as a linear layer over channels-last memory.

    The constructor is that of `nn.Conv2d`, because peft creates the factors of an update as layers of the same class.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`x (b, c, h, w)` to `(b, c', h, w)`, both in channels-last memory."""
        pixels = linear(rearrange(x, "b c h w -> b h w c"), self.weight[:, :, 0, 0], self.bias)
        return rearrange(pixels, "b h w c -> b c h w")


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution that keeps height and width, on a CPU by the algorithm that is fastest for its size.

    The constructor is that of `nn.Conv2d`, as for `PixelwiseConv`; a factor that peft creates may be a 1x1 convolution.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`x (b, c, h, w)` to `(b, c', h, w)`, both in channels-last memory."""
        if self.kernel_size != (3, 3) or not multiplies_by_onednn(x, self.weight, self.bias):
            return super().forward(x)
        few = x.shape[0] * x.shape[2] * x.shape[3] <= FEW_PIXELS
        if not few and min(self.in_channels, self.out_channels) >= WINOGRAD_CHANNELS:
            return winograd.convolve(x, self.weight, self.bias, partial(linear, bias=None))
        if few and self.out_channels >= MANY_CHANNELS:
            return convolve_surroundings(x, self.weight, self.bias)
        return super().forward(x)


def convolve_surroundings(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution as the product of each pixel's surroundings, which are gathered; shapes as for `Conv3x3`."""
    padded = F.pad(rearrange(x, "b c h w -> b h w c"), (0, 0, 1, 1, 1, 1))
    around = rearrange(padded.unfold(1, 3, 1).unfold(2, 3, 1), "b h w c i j -> b h w (i j c)")
    product = linear(around, rearrange(weight, "o c i j -> o (i j c)"), bias)
    return rearrange(product, "b h w c -> b c h w")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`x (..., c)` times `weight (c', c)` transposed, plus the bias.

    In float32 on a CPU, PyTorch's own `linear` calls MKL, which multiplies at half of oneDNN's speed on AMD CPUs with
    AVX-512 and is slightly slower with AVX2. oneDNN's product is therefore used on every CPU. Choosing by measurement
    would let a video's last bits, and those of a resumed training run, depend on how busy the machine was. The product
    has no gradient, and Inductor has no code for it with weights that may change: for either, and in half precision, a
    convolution reaches oneDNN.
    """
    if x.device.type != "cpu":
        return F.linear(x, weight, bias)
    if not multiplies_by_onednn(x, weight, bias):
        return as_convolution(x, weight, bias)
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def multiplies_by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether `linear` calls oneDNN's matrix product."""
    if torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype != torch.float32 or not ONEDNN:
        return False
    given = (x, weight) if bias is None else (x, weight, bias)
    return not (torch.is_grad_enabled() and any(each.requires_grad for each in given))


def as_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The product as a 1x1 convolution over channels-last memory."""
    rows = x.reshape(1, 1, -1, x.shape[-1]).permute(0, 3, 1, 2)
    product = F.conv2d(rows, weight[:, :, None, None], bias)
    return product.permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)
