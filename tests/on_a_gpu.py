"""Counts the work that a GPU would be given, without one.

Tensors on the meta device have shapes and strides but no contents, so nothing can be read from them, and code for
devices other than the CPU runs on them. Where that device differs from a GPU, its stand-ins are here.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FREE = {"detach", "_unsafe_view", "_reshape_alias", "lift_fresh", "empty", "device"}
"""Operators that are no views by their signature and start no kernel either."""
TRANSFERS = {"_to_copy", "copy_"}
ALIGNMENT = 8
CHANNELS_LAST = torch.channels_last


@dataclass
class Work:
    """Kernels by operator, and the kernels' bytes read and written."""

    kernels: Counter[str] = field(default_factory=Counter)
    gigabytes: float = 0

    @property
    def copies(self) -> int:
        """Tensors copied as they are: into another layout, or to be aligned."""
        return self.kernels["clone"] + self.kernels["layout"] + self.kernels["alignment"]


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """Count what is done on the meta device until the context exits."""
    work = Work()
    with monkeypatch.context() as patched, Recorder(work):
        # The meta device would take attention apart into products and a softmax.
        patched.setattr(F, "scaled_dot_product_attention", fused_attention(work))
        yield work


class Recorder(TorchDispatchMode):
    """Counts operators, and lays out convolutions as cuDNN does: channels-last if an operand is."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        if function.is_view or name in FREE:
            return result
        tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor)]
        self.work.kernels[name] += 1
        self.work.gigabytes += sum(each.numel() * each.element_size() for each in tensors) / 1e9
        # Scalars of the host are arguments of a kernel; what else lies on another device is sent there, or back.
        self.work.kernels["transfer"] += name in TRANSFERS and len({each.device for each in tensors}) > 1
        if name == "convolution":
            return self.convolved(result, *args[:2])
        return result

    def convolved(self, result: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        last = [each.is_contiguous(memory_format=CHANNELS_LAST) for each in (x, weight)]
        self.work.kernels["layout"] += any(last) and not all(last)
        if not any(last):
            return result
        return torch.empty(result.shape, dtype=result.dtype, device=result.device, memory_format=CHANNELS_LAST)


def fused_attention(work: Work) -> Any:
    """PyTorch's memory-efficient attention; it copies a bias that isn't aligned."""

    def attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        if attn_mask is not None:
            *outer, last = attn_mask.stride()
            work.kernels["alignment"] += last != 1 or any(stride % ALIGNMENT for stride in outer)
            attn_mask = attn_mask.expand(*q.shape[:-1], k.shape[-2])
        attended: Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, attn_mask, False)[0]
        return attended

    return attention
