"""The blocks of the Cinemo UNet: residual convolution block, video transformer, down- and upsampling.

Activations travel as `(b f) c h w` in channels-last memory, where folding frames into rows or pixels into tokens is a
view. What the blocks add up to is `unet.py`'s business. Source: arXiv 2407.15642, section 3; Stable Diffusion 1.x.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from cinemo_core.attention import Attention
from cinemo_core.linear import Conv3x3, Linear, PixelwiseConv, linear
from cinemo_core.norms import GroupNorm
from cinemo_core.temporal import TemporalAttention

# On a CPU the wide half of a feed-forward stays in the cache for about this many tokens.
CPU_TOKENS = 1024

# Traced through, the code behind the patterns takes the compiler five times as long as the rest of the network.
torch.compiler.allow_in_graph(rearrange)


class ResnetBlock(nn.Module):
    """`shortcut(x) + conv(silu(norm(conv(silu(norm(x))) + time)))`; the time arrives activated, once for all blocks."""

    def __init__(self, in_channels: int, out_channels: int, time_channels: int, groups: int, eps: float) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, in_channels, eps)
        self.conv1 = Conv3x3(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(time_channels, out_channels)
        self.norm2 = GroupNorm(groups, out_channels, eps)
        self.conv2 = Conv3x3(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = (
            PixelwiseConv(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        )

    def forward(self, x: Tensor, time: Tensor, frames: int) -> Tensor:
        """`x ((b f), c, h, w)`, `time (b, d)`; returns `((b f), c', h, w)`."""
        h = self.conv1(F.silu(self.norm1(x, frames)))
        shift = self.time_emb_proj(time)[:, None, :, None, None]
        h = (h.unflatten(0, (-1, frames)) + shift).flatten(0, 1)
        h = self.conv2(F.silu(self.norm2(h, frames)))
        return self.conv_shortcut(x) + h


@dataclass(frozen=True)
class BlockContext:
    """Inputs of a transformer block that are the same in every denoising step.

    Attributes:
        keys: of the text, `(b, heads, m, d)`.
        values: of the text, same shape.
        bias: added to the temporal attention's scores; see `TemporalAttention.tables`.
        rotation: by which frames turn their feature pairs; see there.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor
    rotation: Tensor


class GatedProjection(nn.Module):
    """`value * gelu(gate)`, both linear in `x` (GEGLU, arXiv 2002.05202)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = Linear(channels, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        """`x (m, c)` to `(m, hidden)`. Each half is computed separately, to avoid slicing a larger tensor."""
        (to_value, to_gate), (value_bias, gate_bias) = self.proj.weight.chunk(2), self.proj.bias.chunk(2)
        return linear(x, to_value, value_bias) * F.gelu(linear(x, to_gate, gate_bias))


class FeedForward(nn.Module):
    """A gated layer four times as wide as its input, then a projection back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Published names count a dropout between the two.
        self.net = nn.Sequential(GatedProjection(channels, 4 * channels), nn.Identity(), Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """`x (b, n, c)`; on a CPU as many tokens at once as leave the wide layer in its cache."""
        tokens = x.flatten(0, 1)
        if x.device.type != "cpu":
            return self.net(tokens).view_as(x)
        return torch.cat([self.net(part) for part in tokens.split(CPU_TOKENS)]).view_as(x)


class TransformerBlock(nn.Module):
    """Pixels see their frame, then the text, then their own past and future, then a feed-forward."""

    def __init__(self, channels: int, heads: int, text_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, heads, text_channels)
        self.norm_temp = nn.LayerNorm(channels)
        self.attn_temp = TemporalAttention(channels, heads)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def prepare(self, text: Tensor, frames: int) -> BlockContext:
        """Project the text `(b, m, d)` and make the tables of the temporal attention over `frames` frames."""
        keys, values = self.attn2.project(text)
        return BlockContext(keys, values, *self.attn_temp.tables(len(text), frames))

    def forward(self, x: Tensor, context: BlockContext, frames: int) -> Tensor:
        """`x ((b f), n, c)` tokens; returns tokens of the same shape."""
        seen = self.norm1(x)
        x = x + self.attn1(seen, *self.attn1.project(seen))
        # Every frame reads the same text, so the frames of a clip are one sequence of queries.
        clip = rearrange(self.norm2(x), "(b f) n c -> b (f n) c", f=frames)
        x = x + rearrange(self.attn2(clip, context.keys, context.values), "b (f n) c -> (b f) n c", f=frames)
        pixels = rearrange(self.norm_temp(x), "(b f) n c -> b f n c", f=frames)
        x = x + self.attn_temp(pixels, context.bias, context.rotation)
        return x + self.ff(self.norm3(x))


class VideoTransformer(nn.Module):
    """A transformer block between two 1x1 convolutions, added to its input."""

    def __init__(self, channels: int, heads: int, text_channels: int, groups: int) -> None:
        super().__init__()
        self.norm = GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = PixelwiseConv(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, heads, text_channels)])
        self.proj_out = PixelwiseConv(channels, channels, 1)

    def prepare(self, text: Tensor, frames: int) -> BlockContext:
        """See `TransformerBlock.prepare`."""
        return cast(TransformerBlock, self.transformer_blocks[0]).prepare(text, frames)

    def forward(self, x: Tensor, context: BlockContext, frames: int) -> Tensor:
        """`x ((b f), c, h, w)`; returns the same shape."""
        tokens = rearrange(self.proj_in(self.norm(x)), "bf c h w -> bf (h w) c")
        tokens = self.transformer_blocks[0](tokens, context, frames)
        return x + self.proj_out(rearrange(tokens, "bf (h w) c -> bf c h w", h=x.shape[2]))


class Downsample(nn.Module):
    """Halve height and width by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`((b f), c, h, w)` to `((b f), c, ceil(h / 2), ceil(w / 2))`."""
        return self.conv(x)


class Upsample(nn.Module):
    """Repeat pixels up to a given size, then convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv3x3(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """`((b f), c, h, w)` to `((b f), c, *size)`; the size is that of the skip connection, odd ones included."""
        return self.conv(F.interpolate(x, size=size, mode="nearest"))
