"""The blocks of the Cinemo UNet: residual convolution block, video transformer, down- and upsampling.

Activations travel as `(b f) c h w` in channels-last memory, where folding frames into rows or pixels into tokens is a
view. What the blocks add up to is `unet.py`'s business. Source: arXiv 2407.15642, section 3; Stable Diffusion 1.x.
"""

import math

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from einops import rearrange
from torch import Tensor, nn

ROTARY_FEATURES = 32
POSITION_BUCKETS = 32
LONGEST_DISTANCE = 32


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


class Attention(nn.Module):
    """Multi-head attention of `x` over itself or over a context."""

    def __init__(self, channels: int, heads: int, context_channels: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_channels or channels, channels, bias=False)
        self.to_v = nn.Linear(context_channels or channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def split_heads(self, x: Tensor) -> Tensor:
        return rearrange(x, "b n (h d) -> b h n d", h=self.heads)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """`x (b, n, c)`, `context (b, m, d)`; returns `(b, n, c)`."""
        source = x if context is None else context
        q, k, v = (
            self.split_heads(self.to_q(x)),
            self.split_heads(self.to_k(source)),
            self.split_heads(self.to_v(source)),
        )
        return self.merge_heads(F.scaled_dot_product_attention(q, k, v))

    def merge_heads(self, x: Tensor) -> Tensor:
        return self.to_out[0](rearrange(x, "b h n d -> b n (h d)"))


class RotaryEmbedding(nn.Module):
    """Rotates neighbouring feature pairs by position times frequency (RoFormer, arXiv 2104.09864, eq. 34)."""

    def __init__(self) -> None:
        super().__init__()
        exponents = torch.arange(0, ROTARY_FEATURES, 2, dtype=torch.float32) / ROTARY_FEATURES
        self.freqs = nn.Buffer(10_000.0**-exponents)

    def forward(self, x: Tensor) -> Tensor:
        """Rotate the first 32 features of `x (b, heads, positions, d)`."""
        angle = torch.arange(x.shape[2], device=x.device, dtype=torch.float32)[:, None] * self.freqs.float()
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        turned, kept = x[..., :ROTARY_FEATURES], x[..., ROTARY_FEATURES:]
        even, odd = turned.unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)
        return torch.cat((turned, kept), dim=-1)


class RelativePositionBias(nn.Module):
    """One learned number per head and bucket of `query position - key position` (T5, arXiv 1910.10683)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.relative_attention_bias = nn.Embedding(POSITION_BUCKETS, heads)

    def forward(self, positions: int) -> Tensor:
        """Return the bias `(heads, positions, positions)` added to the attention scores."""
        place = torch.arange(positions, device=self.relative_attention_bias.weight.device)
        buckets = relative_position_bucket(place[:, None] - place[None, :])
        return rearrange(self.relative_attention_bias(buckets), "q k h -> h q k")


def relative_position_bucket(distance: Tensor) -> Tensor:
    """Map integer distances to 0..31: sign first, small ones exactly, larger ones by their logarithm."""
    half = POSITION_BUCKETS // 2
    exact = half // 2
    length = distance.abs()
    log_ratio = torch.log(length.clamp(min=1).float() / exact) / math.log(LONGEST_DISTANCE / exact)
    far = (exact + (log_ratio * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(distance < 0, half, 0) + torch.where(length < exact, length, far)


class TemporalAttention(Attention):
    """Self-attention over the frames of each pixel, with rotary positions and a relative position bias."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, heads)
        self.time_rel_pos_bias = RelativePositionBias(heads)
        self.rotary_emb = RotaryEmbedding()

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """`x (b, f, c)`; returns the same shape."""
        q, k, v = (self.split_heads(project(x)) for project in (self.to_q, self.to_k, self.to_v))
        bias = self.time_rel_pos_bias(x.shape[1]).to(q.dtype)
        # Scaling before or after the rotation is the same, as a rotation is linear.
        attended = F.scaled_dot_product_attention(self.rotary_emb(q), self.rotary_emb(k), v, attn_mask=bias[None])
        return self.merge_heads(attended)


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
        self.ff = FeedForward(channels, activation_fn="geglu")

    def forward(self, x: Tensor, text: Tensor, frames: int) -> Tensor:
        """`x ((b f), n, c)` tokens, `text (b, m, d)`; returns tokens of the same shape."""
        x = x + self.attn1(self.norm1(x))
        # Every frame reads the same text, so the frames of a clip are one sequence of queries.
        clip = rearrange(self.norm2(x), "(b f) n c -> b (f n) c", f=frames)
        x = x + rearrange(self.attn2(clip, text), "b (f n) c -> (b f) n c", f=frames)
        pixels = rearrange(self.norm_temp(x), "(b f) n c -> (b n) f c", f=frames)
        x = x + rearrange(self.attn_temp(pixels), "(b n) f c -> (b f) n c", n=x.shape[1])
        return x + self.ff(self.norm3(x))


class VideoTransformer(nn.Module):
    """A transformer block between two 1x1 convolutions, added to its input."""

    def __init__(self, channels: int, heads: int, text_channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, heads, text_channels)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, text: Tensor, frames: int) -> Tensor:
        """`x ((b f), c, h, w)`, `text (b, m, d)`; returns the shape of `x`."""
        tokens = rearrange(self.proj_in(self.norm(x)), "bf c h w -> bf (h w) c")
        for block in self.transformer_blocks:
            tokens = block(tokens, text, frames)
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
