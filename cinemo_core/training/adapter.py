"""Saves LoRA weights separately from the model that they are merged into, for peft and diffusers."""

import json
from pathlib import Path

from peft import LoraConfig
from safetensors.torch import save_file

from cinemo_core.unet import CinemoUNet

OF_PEFT, OF_DIFFUSERS = "adapter_model.safetensors", "pytorch_lora_weights.safetensors"
PREFIX = "unet"
"""Prefix under which diffusers' `load_lora_adapter` finds the UNet's weights."""


def save_adapter(unet: CinemoUNet, config: LoraConfig, folder: Path) -> None:
    """Write a UNet's LoRA weights; call it before they are merged.

    Load them with `PeftModel.from_pretrained(unet, folder)`, or with
    `unet.load_lora_adapter(folder, prefix="unet", use_safetensors=True)`.
    """
    weights = {
        name.replace(".default.", "."): value.detach().float().cpu().contiguous()
        for name, value in unet.state_dict().items()
        if ".lora_" in name
    }
    config.save_pretrained(str(folder))
    save_file({f"base_model.model.{name}": value for name, value in weights.items()}, folder / OF_PEFT)
    fields = json.loads((folder / "adapter_config.json").read_text())
    scale = {f"{PREFIX}.{name}": fields[name] for name in ("r", "lora_alpha", "target_modules")}
    metadata = {"format": "pt", "lora_adapter_metadata": json.dumps(scale)}
    save_file({f"{PREFIX}.{name}": value for name, value in weights.items()}, folder / OF_DIFFUSERS, metadata)
