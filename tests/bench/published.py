"""The network as the published code runs it: channels first, with PyTorch's fused attention.

Like the straightforward implementation, it folds and unfolds the frames around every convolution and projects each
frame's own copy of the text anew in every block and step. Unlike it, spatial and text attention never write out their
scores. The published code itself is no part of this repository.
"""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from tests.bench.reference import ReferenceUNet


class PublishedUNet(ReferenceUNet):
    """Gives `CinemoUNet`'s results with its weights, computed like the published code."""

    def attention(self, name: str, x: Tensor, context: Tensor) -> Tensor:
        """`x (b, n, c)` over `context (b, m, c)`, with heads laid out one after the other."""
        q, k, v = (
            self.split_heads(self.linear(f"{name}.{part}", given)).contiguous()
            for part, given in (("to_q", x), ("to_k", context), ("to_v", context))
        )
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.linear(f"{name}.to_out.0", rearrange(attended, "b h n d -> b n (h d)"))
