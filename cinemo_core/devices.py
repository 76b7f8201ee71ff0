"""Where models run."""

import torch


def device_of(wanted: str = "auto") -> str:
    """The device that a name asks for: `auto` is a GPU where there is one."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"
