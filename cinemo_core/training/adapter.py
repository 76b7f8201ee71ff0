"""Writes adapters, with the file names and keys that peft and diffusers load.

`PeftModel.from_pretrained(unet, folder)` loads one, and `unet.load_lora_adapter(folder, prefix="unet",
use_safetensors=True)`.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn

from cinemo_core.adapters import WEIGHTS
from cinemo_core.merging import Update

OF_DIFFUSERS = "pytorch_lora_weights.safetensors"
PREFIX = "unet"
"""Prefix under which diffusers' `load_lora_adapter` finds the UNet's weights."""
METADATA = ("r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern")
"""Fields of the configuration that diffusers reads from the metadata."""


def updates_of(network: nn.Module) -> dict[str, Update]:
    """The updates of a network with layers of peft."""
    return {name: update_of(layer) for name, layer in network.named_modules() if isinstance(layer, LoraLayer)}


def update_of(layer: LoraLayer) -> Update:
    """The update of one layer of peft, not copied."""
    down, up = (each["default"].get_parameter("weight") for each in (layer.lora_A, layer.lora_B))
    return Update(down, up, layer.scaling["default"])


@torch.no_grad()
def stacked(several: Sequence[Mapping[str, Update]]) -> dict[str, Update]:
    """The sum of several adapters as one, whose ranks are the sums of theirs."""
    layers: dict[str, list[Update]] = {}
    for updates in several:
        for name, update in updates.items():
            layers.setdefault(name, []).append(update)
    return {name: own[0] if len(own) == 1 else sum_of(own) for name, own in layers.items()}


def sum_of(updates: Sequence[Update]) -> Update:
    """One update that equals the sum of several of the same layer."""
    device = updates[0].down.device
    down = torch.cat([update.down.to(device).float() for update in updates])
    up = torch.cat([update.up.to(device).float() * update.scale for update in updates], dim=1)
    return Update(down, up, 1.0)


def write_adapter(updates: Mapping[str, Update], folder: Path) -> None:
    """Write updates, by the names of the layers: one configuration, and the weights by peft's and diffusers' keys."""
    config = config_of(updates)
    config.save_pretrained(str(folder))
    fields = json.loads((folder / "adapter_config.json").read_text())
    factors = {
        f"{name}.{factor}.weight": value.detach().float().cpu().contiguous()
        for name, update in updates.items()
        for factor, value in (("lora_A", update.down), ("lora_B", update.up))
    }
    save_file({f"base_model.model.{name}": value for name, value in factors.items()}, folder / WEIGHTS)
    scale = {f"{PREFIX}.{name}": fields[name] for name in METADATA}
    metadata = {"format": "pt", "lora_adapter_metadata": json.dumps(scale)}
    save_file({f"{PREFIX}.{name}": value for name, value in factors.items()}, folder / OF_DIFFUSERS, metadata)


def config_of(updates: Mapping[str, Update]) -> LoraConfig:
    """The configuration of peft for updates; layers with an unusual rank or scale have their own pattern."""
    ranks = {name: len(update.down) for name, update in updates.items()}
    alphas: dict[str, Any] = {name: whole(update.scale * ranks[name]) for name, update in updates.items()}
    ((rank, alpha), _), *_ = Counter((ranks[name], alphas[name]) for name in updates).most_common(1)
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=sorted(updates),
        rank_pattern={name: own for name, own in ranks.items() if own != rank},
        alpha_pattern={name: own for name, own in alphas.items() if own != alpha},
    )


def whole(alpha: float) -> float:
    """An integer if it is one but for rounding, as usual for alpha."""
    nearest = round(alpha)
    return nearest if math.isclose(alpha, nearest, rel_tol=1e-6) else alpha
