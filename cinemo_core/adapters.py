"""Reads adapters from folders with the files and keys of peft, a model card, and maybe a noise schedule."""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from cinemo_core.merging import Adapter, Update
from cinemo_core.parts import load_scheduler, read_json
from cinemo_core.weights import described, read_weights
from cinemo_spec.card import ModelCard
from cinemo_spec.errors import CheckpointError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""As peft calls them."""
KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<factor>[AB])\.weight")
UNSUPPORTED = ("use_dora", "use_rslora", "fan_in_fan_out", "lora_bias")
"""Options of peft that change what the weights mean."""


def read_adapter(folder: Path, revision: str) -> Adapter:
    """Read an adapter's folder, whose files have the names and keys of peft.

    Raises:
        CheckpointError: a file is missing or damaged, or the adapter is more than low-rank updates.
    """
    own_schedule = (folder / "scheduler").is_dir()
    scheduler = load_scheduler(folder / "scheduler", as_published=False) if own_schedule else None
    updates = read_updates(read_json(folder / CONFIG), read_weights(folder / WEIGHTS), str(folder))
    return Adapter(revision, ModelCard.read(folder), updates, scheduler)


def read_updates(config: dict[str, Any], weights: dict[str, Tensor], source: str) -> dict[str, Update]:
    """The updates in peft's state dict, scaled as its configuration says.

    Raises:
        CheckpointError: the adapter is more than low-rank updates.
    """
    unsupported = [name for name in UNSUPPORTED if config.get(name)]
    if config.get("peft_type") != "LORA" or unsupported:
        raise CheckpointError(f"{source} is not a plain LoRA adapter: {', '.join(unsupported) or 'another peft_type'}")
    factors: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        match = KEY.fullmatch(name)
        if match is None or value.ndim not in (2, 4):
            raise CheckpointError(f"{source} is not a plain LoRA adapter: it contains {name} of {described(value)}")
        factors.setdefault(match["module"], {})[match["factor"]] = value
    halves = [name for name, pair in factors.items() if len(pair) == 1]
    if halves:
        raise CheckpointError(f"{source} is incomplete: {halves[0]} has only one of lora_A and lora_B")
    try:
        return {
            name: Update(pair["A"], pair["B"], alpha_of(name, config) / len(pair["A"]))
            for name, pair in factors.items()
        }
    except (KeyError, TypeError, ValueError, ZeroDivisionError, re.error) as error:
        raise CheckpointError(f"{source} has an invalid {CONFIG}: {error!r}") from error


def alpha_of(layer: str, config: dict[str, Any]) -> float:
    """The scale of a layer's update times its rank; layers may have their own, by patterns."""
    patterns: dict[str, float] = config.get("alpha_pattern") or {}
    own = (alpha for pattern, alpha in patterns.items() if re.fullmatch(rf"(.*\.)?({pattern})", layer))
    return float(next(own, config["lora_alpha"]))
