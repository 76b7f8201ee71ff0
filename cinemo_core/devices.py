"""Selects device and dtype."""

import torch

from cinemo_spec.errors import InvalidParameter


def device_of(wanted: str = "auto") -> str:
    """Resolve a device name: `auto` is a GPU if there is one."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype_of(wanted: str, device: str) -> torch.dtype:
    """Resolve a dtype name: `auto` is float16 on a GPU, float32 elsewhere.

    float16 has three bits more precision than bfloat16, and residuals stay in float32 between steps anyway.
    """
    if wanted == "auto":
        return torch.float16 if device.startswith("cuda") else torch.float32
    dtype: torch.dtype = getattr(torch, wanted)
    return dtype


def require_device(wanted: str) -> str:
    """Resolve a device name, and check that the device exists.

    Raises:
        InvalidParameter: it does not exist, or the name is invalid.
    """
    device = device_of(wanted)
    try:
        kind, number = torch.device(device).type, torch.device(device).index or 0
    except RuntimeError as error:
        raise InvalidParameter(f"device must be auto, cpu or cuda, got {wanted}") from error
    if kind == "cuda" and number >= torch.cuda.device_count():
        raise InvalidParameter(f"device is {wanted}, but PyTorch finds {torch.cuda.device_count()} CUDA devices")
    return device
