"""The blocks of the Cinemo UNet: residual convolution block, video transformer, down- and upsampling.

Activations travel as `(b f) c h w` in channels-last memory, where folding frames into rows or pixels into tokens is a
view. What the blocks add up to is `unet.py`'s business. Source: arXiv 2407.15642, section 3; Stable Diffusion 1.x.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

ROTARY_FEATURES = 32
POSITION_BUCKETS = 32
LONGEST_DISTANCE = 32
# On a CPU the wide half of a feed-forward stays in the cache for about this many tokens.
CPU_TOKENS = 1024


class JointGroupNorm(nn.GroupNorm):
    """Group norm with statistics over frames, height and width together."""

    def forward(self, x: Tensor, frames: int) -> Tensor:  # type: ignore[override]
        """Normalise `x ((b f), c, h, w)` clip by clip."""
        joined = rearrange(x, "(b f) c h w -> b c (f h) w", f=frames)
        return rearrange(super().forward(joined), "b c (f h) w -> (b f) c h w", f=frames)


class ResnetBlock(nn.Module):
    """`shortcut(x) + conv(silu(norm(conv(silu(norm(x))) + time)))`."""

    def __init__(self, in_channels: int, out_channels: int, time_channels: int, groups: int, eps: float) -> None:
        super().__init__()
        self.norm1 = JointGroupNorm(groups, in_channels, eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(time_channels, out_channels)
        self.norm2 = JointGroupNorm(groups, out_channels, eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, frames: int) -> Tensor:
        """`x ((b f), c, h, w)`, `time (b, d)`; returns `((b f), c', h, w)`."""
        h = self.conv1(F.silu(self.norm1(x, frames)))
        shift = self.time_emb_proj(F.silu(time)).repeat_interleave(frames, dim=0)
        h = h + shift[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h, frames)))
        return self.conv_shortcut(x) + h


class Linear(nn.Linear):
    """A linear layer that runs as a 1x1 convolution over channels-last memory on a CPU.

    In float32, PyTorch uses MKL for `linear` and oneDNN for convolutions, which is more than twice as fast on AMD for
    the same product; elsewhere they are equal. No data is moved: both are views.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`x (..., c)` to `(..., c')`."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`x (..., c)` times `weight (c', c)` transposed, plus the bias."""
    if x.device.type != "cpu":
        return F.linear(x, weight, bias)
    rows = x.reshape(1, 1, -1, x.shape[-1]).permute(0, 3, 1, 2)
    product = F.conv2d(rows, weight[:, :, None, None], bias)
    return product.permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


@dataclass(frozen=True)
class BlockContext:
    """Inputs of a transformer block that are the same in every denoising step.

    Attributes:
        keys: of the text, `(b, heads, m, d)`.
        values: of the text, same shape.
        bias: added to the temporal attention's scores, `(1, heads, f, f)`.
        rotation: unit complex numbers by which frames turn their feature pairs, `(f, 1, 1, 16)`.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor
    rotation: Tensor


class Projections(nn.Module):
    """The four projections of multi-head attention, under their published names."""

    def __init__(self, channels: int, heads: int, context_channels: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = Linear(channels, channels, bias=False)
        self.to_k = Linear(context_channels or channels, channels, bias=False)
        self.to_v = Linear(context_channels or channels, channels, bias=False)
        self.to_out = nn.ModuleList([Linear(channels, channels)])


class Attention(Projections):
    """Multi-head attention: queries from `x`, keys and values from `x` or from a context of other width."""

    def project(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `(b, heads, m, d)` of a context `(b, m, c)`."""
        return self.split_heads(self.to_k(context)), self.split_heads(self.to_v(context))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """`x (b, n, c)` over keys and values `(b, heads, m, d)`; returns `(b, n, c)`."""
        attended = F.scaled_dot_product_attention(self.split_heads(self.to_q(x)), keys, values)
        return self.to_out[0](rearrange(attended, "b h n d -> b n (h d)"))

    def split_heads(self, x: Tensor) -> Tensor:
        return rearrange(x, "b n (h d) -> b h n d", h=self.heads)


class RotaryEmbedding(nn.Module):
    """Rotates neighbouring feature pairs by position times frequency (RoFormer, arXiv 2104.09864, eq. 34)."""

    def __init__(self) -> None:
        super().__init__()
        exponents = torch.arange(0, ROTARY_FEATURES, 2, dtype=torch.float32) / ROTARY_FEATURES
        self.freqs = nn.Buffer(10_000.0**-exponents)

    def rotation(self, positions: int) -> Tensor:
        """Unit complex numbers `(positions, 1, 1, 16)`."""
        angle = torch.arange(positions, device=self.freqs.device)[:, None] * self.freqs.float()
        return torch.polar(torch.ones_like(angle), angle)[:, None, None]


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate the first 32 features of `x (b, f, n, heads, d)` by `rotation (f, 1, 1, 16)`, in place where it can be."""
    turned = x[..., :ROTARY_FEATURES]
    pairs = torch.view_as_complex(turned.float().unflatten(-1, (-1, 2)))
    pairs.mul_(rotation)
    if x.dtype != torch.float32:
        turned.copy_(torch.view_as_real(pairs).flatten(-2))
    return x


class RelativePositionBias(nn.Module):
    """One learned number per head and bucket of `query position - key position` (T5, arXiv 1910.10683)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.relative_attention_bias = nn.Embedding(POSITION_BUCKETS, heads)

    def forward(self, positions: int) -> Tensor:
        """Return the bias `(1, heads, positions, positions)` added to the attention scores."""
        place = torch.arange(positions, device=self.relative_attention_bias.weight.device)
        buckets = relative_position_bucket(place[:, None] - place[None, :])
        return rearrange(self.relative_attention_bias(buckets), "q k h -> 1 h q k")


def relative_position_bucket(distance: Tensor) -> Tensor:
    """Map integer distances to 0..31: sign first, small ones exactly, larger ones by their logarithm."""
    half = POSITION_BUCKETS // 2
    exact = half // 2
    length = distance.abs()
    log_ratio = torch.log(length.clamp(min=1).float() / exact) / math.log(LONGEST_DISTANCE / exact)
    far = (exact + (log_ratio * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(distance < 0, half, 0) + torch.where(length < exact, length, far)


class TemporalAttention(Projections):
    """Self-attention over the frames of each pixel, with rotary positions and a relative position bias."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, heads)
        self.time_rel_pos_bias = RelativePositionBias(heads)
        self.rotary_emb = RotaryEmbedding()

    def forward(self, x: Tensor, bias: Tensor, rotation: Tensor) -> Tensor:
        """`x (b, f, n, c)`, `bias (1, heads, f, f)`, `rotation (f, 1, 1, 16)`; returns the shape of `x`."""
        q, k, v = (self.split_heads(project(x)) for project in (self.to_q, self.to_k, self.to_v))
        # Scaling before or after the rotation is the same, as a rotation is linear.
        q, k = rotate(q, rotation), rotate(k, rotation)
        # Clip by clip, frames and pixels change places in a view; over several clips it would be a copy.
        clips = zip(q, k, v, strict=True)
        return self.to_out[0](torch.stack([self.attend(*clip, bias) for clip in clips]))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """One clip's `(f, n, heads, d)` each; returns `(f, n, c)`."""
        q, k, v = (rearrange(each, "f n h d -> n h f d") for each in (q, k, v))
        return rearrange(F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype)), "n h f d -> f n (h d)")

    def split_heads(self, x: Tensor) -> Tensor:
        return rearrange(x, "b f n (h d) -> b f n h d", h=self.heads)


class GatedProjection(nn.Module):
    """`value * gelu(gate)`, both linear in `x` (GEGLU, arXiv 2002.05202)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = Linear(channels, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        """`x (m, c)` to `(m, hidden)`; the two halves apart, so that neither is cut out of a larger tensor."""
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
        bias = self.attn_temp.time_rel_pos_bias(frames)
        return BlockContext(keys, values, bias, self.attn_temp.rotary_emb.rotation(frames))

    def forward(self, x: Tensor, context: BlockContext, frames: int) -> Tensor:
        """`x ((b f), n, c)` tokens; returns tokens of the same shape."""
        seen = self.norm1(x)
        x = x + self.attn1(seen, *self.attn1.project(seen))
        # Every frame reads the same text, so the frames of a clip are one sequence of queries.
        clip = rearrange(self.norm2(x), "(b f) n c -> b (f n) c", f=frames)
        x = x + rearrange(self.attn2(clip, context.keys, context.values), "b (f n) c -> (b f) n c", f=frames)
        pixels = rearrange(self.norm_temp(x), "(b f) n c -> b f n c", f=frames)
        x = x + self.attn_temp(pixels, context.bias, context.rotation).flatten(0, 1)
        return x + self.ff(self.norm3(x))


class VideoTransformer(nn.Module):
    """A transformer block between two 1x1 convolutions, added to its input."""

    def __init__(self, channels: int, heads: int, text_channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, heads, text_channels)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

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
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """`((b f), c, h, w)` to `((b f), c, *size)`; the size is that of the skip connection, odd ones included."""
        return self.conv(F.interpolate(x, size=size, mode="nearest"))
