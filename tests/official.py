"""A checkpoint in the layout of the published one, file for file, with small random weights.

The files are those of `maxin-cn/Cinemo` on the hub: Stable Diffusion 1.4's folder, whose `unet` was replaced and which
got a second, temporal decoder. The configurations are Stable Diffusion's but for their sizes; the UNet's own was not at
hand, so its keys are those that the published class takes, and some that no class knows.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderKLTemporalDecoder
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from cinemo_core import CinemoUNet
from tests.goldens import TINY

WORDS = ("photo", "of", "the", "sea", "wind", "pan", "left")
START, END = "<|startoftext|>", "<|endoftext|>"
OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

UNET: dict[str, Any] = {
    "_class_name": "UNet3DConditionModel",
    "_diffusers_version": "0.24.0",
    "act_fn": "silu",
    "addition_embed_type": "motion_ids",
    "addition_time_embed_dim": 256,
    "center_input_sample": False,
    "down_block_types": ["CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "DownBlock3D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock3DCrossAttn",
    "norm_eps": 1e-05,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D"],
    "use_first_frame": False,
    "use_relative_position": True,
    "use_rotary": True,
    **TINY,
}
TEXT_ENCODER: dict[str, Any] = {
    "_name_or_path": "openai/clip-vit-large-patch14",
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "hidden_size": TINY["cross_attention_dim"],
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pad_token_id": 1,
    "torch_dtype": "float32",
    "transformers_version": "4.21.0.dev0",
}
VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.2.2",
    "act_fn": "silu",
    "block_out_channels": [8, 8, 8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "out_channels": 3,
    "sample_size": 512,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
VAE_TEMPORAL_DECODER: dict[str, Any] = {
    "_class_name": "AutoencoderKLTemporalDecoder",
    "_diffusers_version": "0.24.0.dev0",
    "_name_or_path": "diffusers/svd-xt/vae",
    # Its norms are of 32 groups, whatever is configured.
    "block_out_channels": [32, 32, 32, 32],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "force_upcast": True,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "out_channels": 3,
    "sample_size": 768,
    "scaling_factor": 0.18215,
}
SCHEDULER: dict[str, Any] = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.7.0.dev0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
MODEL_INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.2.2",
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def write_official(folder: Path) -> Path:
    """Write the checkpoint to a folder; the weights are the same every time."""
    vocabulary = write_tokenizer(folder / "tokenizer")
    text_encoder = {**TEXT_ENCODER, "vocab_size": len(vocabulary)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = CinemoUNet(**TINY)
        vae = AutoencoderKL(**public(VAE))
        temporal = AutoencoderKLTemporalDecoder(**public(VAE_TEMPORAL_DECODER))
        clip = CLIPTextModel(CLIPTextConfig.from_dict(text_encoder))
    write_part(folder / "unet", UNET, "diffusion_pytorch_model.bin", unet.state_dict())
    write_part(folder / "vae", VAE, "diffusion_pytorch_model.bin", old_attention(vae))
    write_part(
        folder / "vae_temporal_decoder",
        VAE_TEMPORAL_DECODER,
        "diffusion_pytorch_model.safetensors",
        temporal.state_dict(),
    )
    write_part(folder / "text_encoder", text_encoder, "pytorch_model.bin", old_clip(clip))
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(folder / "model_index.json", MODEL_INDEX)
    return folder


def public(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration's arguments of the constructor."""
    return {name: value for name, value in config.items() if not name.startswith("_")}


def write_part(folder: Path, config: dict[str, Any], name: str, weights: dict[str, Tensor]) -> None:
    """Write a network's configuration and weights, in the format given by the file's name."""
    write_json(folder / "config.json", config)
    save = save_file if name.endswith(".safetensors") else torch.save
    save(weights, folder / name)


def old_attention(vae: nn.Module) -> dict[str, Tensor]:
    """An autoencoder's state dict with the attention names of 2022."""
    weights = vae.state_dict()
    for new, old in OLD_ATTENTION.items():
        weights = {name.replace(f".{new}.", f".{old}."): value for name, value in weights.items()}
    return weights


def old_clip(encoder: nn.Module) -> dict[str, Tensor]:
    """A text encoder's state dict with the prefix of transformers 4 and the positions that it saved."""
    weights = {f"text_model.{name}": value for name, value in encoder.state_dict().items()}
    positions = torch.arange(TEXT_ENCODER["max_position_embeddings"])[None]
    return {"text_model.embeddings.position_ids": positions, **weights}


def write_tokenizer(folder: Path) -> dict[str, int]:
    """Write a byte-level tokenizer in CLIP's four files: it encodes any text, `WORDS` in one token each."""
    merges = [pair for word in WORDS for pair in word_merges(word)]
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *dict.fromkeys(map("".join, merges)), START, END]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    special = {
        "bos_token": special_token(START),
        "eos_token": special_token(END),
        "unk_token": special_token(END),
        "pad_token": END,
    }
    write_json(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *dict.fromkeys(map(" ".join, merges))]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(folder / "special_tokens_map.json", special)
    settings = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": 77}
    write_json(folder / "tokenizer_config.json", {**settings, **special, "tokenizer_class": "CLIPTokenizer"})
    return vocabulary


def word_merges(word: str) -> list[tuple[str, str]]:
    """The pairs that merge a word's letters, from the left."""
    pieces = [*word[:-1], f"{word[-1]}</w>"]
    return [("".join(pieces[:count]), pieces[count]) for count in range(1, len(pieces))]


def special_token(content: str) -> dict[str, Any]:
    """A token as tokenizer files describe it."""
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
