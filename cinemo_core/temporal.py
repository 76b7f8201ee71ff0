"""Attention over the frames of each pixel: rotary positions, and a learned bias by relative position.

Sources: RoFormer, arXiv 2104.09864; T5, arXiv 1910.10683.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from cinemo_core.attention import Projections

ROTARY_FEATURES = 32
POSITION_BUCKETS = 32
LONGEST_DISTANCE = 32
JOINT_CLIPS = 2
"""Clips in one call of attention: with guidance, there are two. More would mostly compute scores that are masked."""
ALIGNMENT = 8
"""PyTorch's memory-efficient attention takes a bias whose strides are multiples of this as it is, others as a copy."""


class RotaryEmbedding(nn.Module):
    """Rotates neighbouring feature pairs by position times frequency (RoFormer, eq. 34)."""

    def __init__(self) -> None:
        super().__init__()
        exponents = torch.arange(0, ROTARY_FEATURES, 2, dtype=torch.float32) / ROTARY_FEATURES
        self.freqs = nn.Buffer(10_000.0**-exponents)

    def rotation(self, positions: int) -> Tensor:
        """Cosine and sine of each angle, `(positions, 1, 1, 16, 2)` float32."""
        angle = torch.arange(positions, device=self.freqs.device)[:, None] * self.freqs.float()
        return torch.stack((angle.cos(), angle.sin()), dim=-1)[:, None, None]


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate the first 32 features of `x (b, f, n, heads, d)` by `rotation (f, 1, 1, 16, 2)`; may overwrite `x`."""
    turned, rest = x[..., :ROTARY_FEATURES], x[..., ROTARY_FEATURES:]
    if torch.compiler.is_compiling():
        # Inductor fuses this, and generates no code for complex numbers.
        even, odd = turned.unflatten(-1, (-1, 2)).unbind(-1)
        cos, sin = rotation.unbind(-1)
        pairs = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
        return torch.cat((pairs.flatten(-2).to(x.dtype), rest), dim=-1)
    # Without a compiler, a complex product is one pass in place, several times as fast as the sums above.
    complex_pairs = torch.view_as_complex(turned.float().unflatten(-1, (-1, 2)))
    complex_pairs.mul_(torch.view_as_complex(rotation))
    if x.dtype != torch.float32:
        turned.copy_(torch.view_as_real(complex_pairs).flatten(-2))
    return x


class RelativePositionBias(nn.Module):
    """One learned number per head and bucket of `query position - key position` (T5)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.relative_attention_bias = nn.Embedding(POSITION_BUCKETS, heads)

    def forward(self, positions: int, clips: int = 1) -> Tensor:
        """Return the bias `(1, heads, s, s)` added to the scores of `s = clips * positions` frames, clip after clip.

        Frames of different clips don't see each other: their bias is minus infinity. Rows are aligned in memory.
        """
        device = self.relative_attention_bias.weight.device
        frame, keys = clips * positions, -(-clips * positions // ALIGNMENT) * ALIGNMENT
        query, key = torch.arange(frame, device=device)[:, None], torch.arange(keys, device=device)[None]
        buckets = relative_position_bucket(query % positions - key % positions)
        bias = rearrange(self.relative_attention_bias(buckets), "q k h -> 1 h q k")
        apart = query // positions != key // positions
        return bias.masked_fill(apart, -math.inf).contiguous()[..., :frame]


def relative_position_bucket(distance: Tensor) -> Tensor:
    """Map integer distances to 0..31: sign first, small ones exactly, larger ones by their logarithm."""
    half = POSITION_BUCKETS // 2
    exact = half // 2
    length = distance.abs()
    log_ratio = torch.log(length.clamp(min=1).float() / exact) / math.log(LONGEST_DISTANCE / exact)
    far = (exact + (log_ratio * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(distance < 0, half, 0) + torch.where(length < exact, length, far)


class TemporalAttention(Projections):
    """Self-attention over the frames of each pixel."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, heads)
        self.time_rel_pos_bias = RelativePositionBias(heads)
        self.rotary_emb = RotaryEmbedding()

    def tables(self, clips: int, frames: int) -> tuple[Tensor, Tensor]:
        """The bias `(1, heads, s, s)` of up to `JOINT_CLIPS` clips, and the rotation `(f, 1, 1, 16, 2)`."""
        return self.time_rel_pos_bias(frames, min(clips, JOINT_CLIPS)), self.rotary_emb.rotation(frames)

    def forward(self, x: Tensor, bias: Tensor, rotation: Tensor) -> Tensor:
        """`x (b, f, n, c)`, with `bias` and `rotation` from `tables`; returns `((b f), n, c)`, in memory `n (b f) c`.

        Frames and pixels change places without a copy: the frames of clips that follow each other are one sequence, in
        which the bias keeps the clips apart. Scaling before or after the rotation is the same, as it is linear.
        """
        projected = (project(x) for project in (self.to_q, self.to_k, self.to_v))
        q, k, v = (rearrange(each, "b f n (h d) -> b f n h d", h=self.heads) for each in projected)
        q, k, bias = rotate(q, rotation), rotate(k, rotation), bias.to(v.dtype)
        parts = zip(q.split(JOINT_CLIPS), k.split(JOINT_CLIPS), v.split(JOINT_CLIPS), strict=True)
        attended = [self.attend(*part, bias) for part in parts]
        joined = attended[0] if len(attended) == 1 else torch.cat(attended, dim=1)
        return rearrange(self.to_out[0](joined), "n s c -> s n c")

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """Queries, keys and values `(b, f, n, heads, d)` of up to `JOINT_CLIPS` clips; returns `(n, (b f), c)`."""
        q, k, v = (rearrange(each, "b f n h d -> n h (b f) d") for each in (q, k, v))
        frames = q.shape[2]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[..., :frames, :frames])
        return rearrange(attended, "n h s d -> n s (h d)")
