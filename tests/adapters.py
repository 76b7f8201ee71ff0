"""Random adapters of a model, which need no training."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import torch
from torch import nn

from cinemo_core.checkpoint import load_parts, locate, revision
from cinemo_core.training.adapter import updates_of, write_adapter
from cinemo_core.training.networks import LORA_TARGETS
from cinemo_spec.card import Base, ModelCard


def with_random_lora(network: nn.Module, seed: int = 0, **config: Any) -> Any:
    """Copy a network and add random low-rank updates, by default to the attention's projections."""
    trained = copy.deepcopy(network)
    made = peft.LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": LORA_TARGETS, **config})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(made, trained)
        for name, value in trained.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(value, std=0.05)
    return trained


def random_adapter(
    folder: Path, base: str | Path = "tiny", seed: int = 0, card: dict[str, Any] | None = None, **config: Any
) -> Path:
    """Write an adapter of a model as training publishes it; its card is the base's except for the name."""
    found = locate(base)
    folder.mkdir(parents=True)
    write_adapter(updates_of(with_random_lora(load_parts(found, torch.float32)["unet"], seed, **config)), folder)
    pinned = Base(str(base), revision(found))
    replace(ModelCard.read(found), **{"name": folder.name, "base": pinned, **(card or {})}).write(folder)
    return folder
