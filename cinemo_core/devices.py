"""Selects device and dtype."""

import torch

from cinemo_spec.errors import InvalidParameter


def device_of(wanted: str = "auto") -> str:
    """The device of a name: `auto` is a GPU if there is one."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype_of(wanted: str, device: str) -> torch.dtype:
    """The number type that a name asks for: `auto` is float16 on a GPU, float32 elsewhere.

    Of the two that halve the weights float16 has three bits more, and residuals stay in float32 between the steps.
    """
    if wanted == "auto":
        return torch.float16 if device.startswith("cuda") else torch.float32
    dtype: torch.dtype = getattr(torch, wanted)
    return dtype


def require_device(wanted: str) -> str:
    """The device that a name asks for, which is there.

    Raises:
        InvalidParameter: it is not there, or the name is none.
    """
    place = device_of(wanted)
    try:
        kind, number = torch.device(place).type, torch.device(place).index or 0
    except RuntimeError as error:
        raise InvalidParameter(f"device must be auto, cpu or cuda, got {wanted}") from error
    if kind == "cuda" and number >= torch.cuda.device_count():
        raise InvalidParameter(f"device is {wanted}, and PyTorch sees {torch.cuda.device_count()} CUDA devices here")
    return place
