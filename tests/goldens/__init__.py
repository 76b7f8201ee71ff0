"""The published model's outputs, and the seeded weights and inputs that produced them."""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from cinemo_core import CinemoUNet

FOLDER = Path(__file__).parent
TINY = {
    "block_out_channels": (32, 64, 64, 64),
    "attention_head_dim": 1,
    "cross_attention_dim": 32,
    "norm_num_groups": 8,
    "layers_per_block": 1,
}


def goldens() -> dict[str, Tensor]:
    """All outputs by key."""
    return load_file(FOLDER / "golden.safetensors")


def manifest(name: str) -> dict[str, list[int]]:
    """Names and shapes of a state dict."""
    shapes: dict[str, list[int]] = json.loads((FOLDER / f"{name}_unet_state_dict.json").read_text())
    return shapes


def seeded_weight(name: str, value: Tensor) -> Tensor:
    """The weight used for the goldens: determined by its name alone, whatever `value` holds."""
    if name.endswith("rotary_emb.freqs"):
        return value
    x = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(value.shape)).astype(np.float32)
    if name.endswith("relative_attention_bias.weight"):
        x = 0.2 * x
    elif value.ndim == 1:
        x = 1 + 0.05 * x if name.endswith("weight") else 0.05 * x
    else:
        x = x / math.sqrt(math.prod(value.shape[1:]))
    return torch.from_numpy(x.astype(np.float32))


def seeded_unet() -> CinemoUNet:
    """The small UNet with its seeded weights."""
    unet = CinemoUNet(**TINY).eval()
    unet.load_state_dict({name: seeded_weight(name, value) for name, value in unet.state_dict().items()})
    return unet


def seeded_inputs(seed: int, batch: int, frames: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """`sample (b, 4, f, h, w)`, `base (b, 4, 1, h, w)` and `text (b, 77, 32)`."""
    rng = np.random.default_rng(seed)
    shapes = ((batch, 4, frames, height, width), (batch, 4, 1, height, width), (batch, 77, 32))
    sample, base, text = (torch.from_numpy(rng.standard_normal(shape).astype(np.float32)) for shape in shapes)
    return sample, base, text


def relative_error(result: Tensor, golden: Tensor) -> float:
    """Norm of the difference divided by the norm of the golden."""
    return float((result - golden).norm() / golden.norm())
