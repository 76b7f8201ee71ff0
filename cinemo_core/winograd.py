"""3x3 convolutions by Winograd's minimal filtering F(2x2, 3x3), with 2.25 times fewer multiplications.

Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (1509.09308), section 4.1. A tile of 2x2 outputs takes
4x4 inputs, of which it shares two rows and two columns with each neighbour. Each of the 16 positions of the transformed
tiles is one matrix product over all tiles. Transformed filters take 1.8 times the memory of their weights and are
therefore made anew in every call, one row of positions at a time.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

PRODUCT_VALUES = 1_000_000
"""About how many values a product takes or makes: enough for its speed, and few enough for the CPU's cache."""

INPUTS = ((0, 2, -1), (1, 2, 1), (2, 1, -1), (1, 3, -1))
"""Bᵀ: each row is one of the four inputs plus or minus another."""
OUTPUTS = ((1, 1, 1, 0), (0, 1, -1, -1))
"""Aᵀ."""

Product = Callable[[Tensor, Tensor], Tensor]
"""`x (..., c)` and `weight (c', c)` to `(..., c')`."""


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, product: Product) -> Tensor:
    """`x (b, c, h, w)` to `(b, c', h, w)`, both in channels-last memory and padded with zeros by one pixel."""
    odd_rows, odd_columns = x.shape[2] % 2, x.shape[3] % 2
    padded = F.pad(rearrange(x, "b c h w -> b h w c"), (0, 0, 1, 1 + odd_columns, 1, 1 + odd_rows))
    rows, columns = padded.shape[1] - 2, padded.shape[2] - 2
    output = x.new_empty(len(x), rows, columns, len(weight))
    output[:] = 0 if bias is None else bias
    taps = rearrange(weight, "o c i j -> i j o c")
    taps_of_row, filters = taps.new_empty(taps.shape[1:]), taps.new_empty(4, *taps.shape[2:])
    images = max(1, 4 * PRODUCT_VALUES // (rows * columns * max(weight.shape[:2])))
    for i in range(4):
        filter_row(taps, i, taps_of_row)
        for j in range(4):
            filter_row(taps_of_row, j, filters[j])
        for part, target in zip(padded.split(images), output.split(images), strict=True):
            inputs = input_at([part[:, k : k + rows : 2] for k in range(4)], i)
            sums = convolve_row([inputs[:, :, k : k + columns : 2] for k in range(4)], filters, product)
            add_row(sums, i, target)
    return rearrange(output[:, : x.shape[2], : x.shape[3]].contiguous(), "b h w c -> b c h w")


def filter_row(taps: Tensor, i: int, result: Tensor) -> Tensor:
    """Write row `i` of G times three `taps (3, ...)` to `result (...)`."""
    if i in (0, 3):
        return result.copy_(taps[2 * i // 3])
    torch.add(taps[0], taps[2], out=result)
    return result.add_(taps[1], alpha=1 if i == 1 else -1).mul_(0.5)


def input_at(values: Sequence[Tensor], i: int) -> Tensor:
    """Row `i` of Bᵀ times four values."""
    one, other, sign = INPUTS[i]
    return torch.add(values[one], values[other], alpha=sign)


def convolve_row(inputs: Sequence[Tensor], filters: Tensor, product: Product) -> tuple[Tensor, Tensor]:
    """Aᵀ times the products of the transformed inputs `(b, h / 2, w / 2, c)` and their filters."""
    first, second, third, fourth = (product(input_at(inputs, j), filters[j]) for j in range(4))
    return first.add_(second).add_(third), second.sub_(third).sub_(fourth)


def add_row(sums: Sequence[Tensor], i: int, output: Tensor) -> None:
    """Add what row `i` of the positions contributes to `output (b, h, w, c')`: for both columns of a tile, its sum."""
    for y, signs in enumerate(OUTPUTS):
        if signs[i]:
            for x, each in enumerate(sums):
                output[:, y::2, x::2].add_(each, alpha=signs[i])
