"""Computes flow and light in full precision, whatever the precision of the networks."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(call: Callable[P, R]) -> Callable[P, R]:
    """Disable autocast and TF32 in a function of tensors: on a wide picture they cost half a pixel of flow."""

    @wraps(call)
    def precise(*args: P.args, **kwargs: P.kwargs) -> R:
        values: list[Any] = [*args, *kwargs.values()]
        device = next(value.device for value in values if isinstance(value, Tensor))
        allowed = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            with torch.autocast(device.type, enabled=False):
                return call(*args, **kwargs)
        finally:
            torch.set_float32_matmul_precision(allowed)

    return precise
