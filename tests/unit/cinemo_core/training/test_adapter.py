"""Low-rank updates by themselves: peft and diffusers load them over their base, for what the merged model computes."""

import copy
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from cinemo_core import CinemoUNet
from cinemo_core.training.adapter import save_adapter
from cinemo_core.training.networks import add_lora, merge_lora, peft_config
from cinemo_spec.training import LoraConfig
from tests.goldens import seeded_inputs


@torch.no_grad()
def answer(unet: CinemoUNet) -> Tensor:
    sample, base, text = seeded_inputs(11, 1, 7, 8, 8)
    return unet(sample, torch.tensor(501), text, base, torch.tensor([8]))


@pytest.fixture
def base(unet: CinemoUNet) -> CinemoUNet:
    return copy.deepcopy(unet)


@pytest.mark.parametrize("reader", ["peft", "diffusers"])
def test_an_adapter_over_its_base_is_the_merged_model(base: CinemoUNet, tmp_path: Path, reader: str) -> None:
    before = answer(base)
    trained, config = copy.deepcopy(base), LoraConfig(rank=2, alpha=8)
    add_lora(trained, config)
    torch.manual_seed(0)
    for name, value in trained.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    save_adapter(trained, peft_config(config), tmp_path)
    merge_lora(trained)
    expected = answer(trained)
    assert not torch.allclose(expected, before, atol=1e-3)
    if reader == "peft":
        PeftModel.from_pretrained(base, str(tmp_path))
    else:
        base.load_lora_adapter(str(tmp_path), prefix="unet", use_safetensors=True)
    torch.testing.assert_close(answer(base), expected, atol=1e-4, rtol=1e-4)
