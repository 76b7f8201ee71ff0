"""Attention over pixels and over text: projections under their published names, and PyTorch's fused kernel."""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from cinemo_core.linear import Linear


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
