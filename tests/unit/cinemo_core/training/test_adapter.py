"""Adapters are files that peft and diffusers load over their base, with the merged model's results."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from cinemo_core import CinemoUNet
from cinemo_core.adapters import read_updates
from cinemo_core.merging import Adapter
from cinemo_core.parts import read_json
from cinemo_core.training.adapter import stacked, updates_of, write_adapter
from cinemo_core.weights import read_weights
from cinemo_spec.card import ModelCard
from tests.adapters import with_random_lora
from tests.goldens import seeded_inputs

CONFIGS: dict[str, dict[str, Any]] = {
    "attention": {},
    "convolutions": {"target_modules": ["conv1", "conv", "proj_in"]},
    "ranks and scales by layer": {
        "target_modules": ["to_q", "conv2"],
        "rank_pattern": {"conv2": 2},
        "alpha_pattern": {"mid_block.*to_q": 3},
    },
}


@torch.no_grad()
def answer(unet: CinemoUNet) -> Tensor:
    sample, base, text = seeded_inputs(11, 1, 7, 8, 8)
    return unet(sample, torch.tensor(501), text, base, torch.tensor([8]))


def read(folder: Path) -> Adapter:
    updates = read_updates(
        read_json(folder / "adapter_config.json"), read_weights(folder / "adapter_model.safetensors"), ""
    )
    return Adapter("", ModelCard("any"), updates, None)


@pytest.fixture
def base(unet: CinemoUNet) -> CinemoUNet:
    return copy.deepcopy(unet)


@pytest.mark.parametrize("reader", ["ours", "peft", "diffusers"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_an_adapter_over_its_base_is_the_trained_model(
    base: CinemoUNet, tmp_path: Path, reader: str, config: dict[str, Any]
) -> None:
    before = answer(base)
    trained = with_random_lora(base, **config)
    expected = answer(trained)
    assert not torch.allclose(expected, before, atol=1e-3)
    write_adapter(updates_of(trained), tmp_path)
    if reader == "ours":
        base.merged.swap(base, ((read(tmp_path), 1.0),))
    elif reader == "peft":
        PeftModel.from_pretrained(base, str(tmp_path))
    else:
        base.load_lora_adapter(str(tmp_path), prefix="unet", use_safetensors=True)
    torch.testing.assert_close(answer(base), expected, atol=1e-4, rtol=1e-4)


def test_an_adapter_trained_on_an_adapter_has_the_same_base(base: CinemoUNet, tmp_path: Path) -> None:
    first, second = (updates_of(with_random_lora(base, seed, r=seed + 2)) for seed in (1, 2))
    some = {name: update for name, update in second.items() if "down_blocks" in name}
    once, again = copy.deepcopy(base), base
    once.merged.swap(
        once, tuple((Adapter(str(at), ModelCard("any"), each, None), 1.0) for at, each in enumerate((first, some)))
    )
    write_adapter(stacked([first, some]), tmp_path)
    again.merged.swap(again, ((read(tmp_path), 1.0),))
    torch.testing.assert_close(answer(again), answer(once), atol=1e-5, rtol=1e-5)
