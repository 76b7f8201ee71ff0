"""Loads the parts of a pipeline, each from its own folder with a configuration and matching weights.

Networks are built on the meta device and take their tensors from the file as they are, without random initialization.
Fields of a configuration that our classes do not know are ignored.
"""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, AutoencoderKLTemporalDecoder, DDIMScheduler
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from cinemo_core.codec import PatchCodec
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.unet import CinemoUNet
from cinemo_core.weight_files import weight_files
from cinemo_core.weights import fill, read_weights
from cinemo_spec.errors import CheckpointError

Files = tuple[Path, ...]
"""The weight files of one network: a single file, or its shards."""

TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""A tokenizer has all files of one of these groups."""

Network = TypeVar("Network", bound=nn.Module)

CODECS = {each.__name__: each for each in (PatchCodec, MotionCodec, AutoencoderKL, AutoencoderKLTemporalDecoder)}

PUBLISHED_SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "prediction_type": "epsilon",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
"""The schedule that the published model was trained with; its folder contains Stable Diffusion's instead."""

PUBLISHED_BETAS = {
    **{name: PUBLISHED_SCHEDULER[name] for name in ("beta_schedule", "beta_start", "beta_end")},
    "trained_betas": None,
}
"""Betas that the published code sets, whatever the scheduler's file says."""

OLD_ATTENTION = re.compile(r"(?<=\.attentions\.)(\d+)\.(query|key|value|proj_attn)(?=\.(?:weight|bias)$)")
NEW_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def load_unet(folder: Path, files: Files, torch_dtype: torch.dtype | None) -> CinemoUNet:
    """The UNet of a folder's configuration, with weights from the given files.

    Raises:
        CheckpointError: either cannot be read, or they do not match.
    """
    unet = built(CinemoUNet, folder)
    fill(unet, read_all(files), torch_dtype, f"unet ({describe_files(files)})")
    return unet.eval()


def load_codec(folder: Path, torch_dtype: torch.dtype | None, variant: str | None = None) -> Any:
    """The image codec of a folder, of the class named in its configuration.

    Raises:
        CheckpointError: the class is unknown, the folder cannot be read, or its files do not match.
    """
    name = str(read_json(folder / "config.json").get("_class_name"))
    if name not in CODECS:
        raise CheckpointError(f"{folder} contains a {name}; supported are {', '.join(CODECS)}")
    codec, files = built(CODECS[name], folder), weight_files(folder, variant)
    weights = {
        OLD_ATTENTION.sub(lambda match: f"{match[1]}.{NEW_ATTENTION[match[2]]}", name): value
        for name, value in read_all(files).items()
    }
    fill(codec, weights, torch_dtype, f"{folder.name} ({describe_files(files)})")
    return codec.eval()


def load_text_encoder(folder: Path, torch_dtype: torch.dtype | None, variant: str | None = None) -> CLIPTextModel:
    """The text encoder of a folder.

    Raises:
        CheckpointError: the folder cannot be read, or its files do not match.
    """
    config = read_json(folder / "config.json")
    encoder = without_memory(lambda: CLIPTextModel(CLIPTextConfig.from_dict(config)), folder)
    files = weight_files(folder, variant)
    fill(encoder, clip_names(read_all(files), encoder), torch_dtype, f"text_encoder ({describe_files(files)})")
    return encoder.eval()


def clip_names(weights: dict[str, Tensor], encoder: nn.Module) -> dict[str, Tensor]:
    """Rename weights to the encoder's names: releases differ in the prefix `text_model.` and in saving position IDs."""
    names = {name.removeprefix("text_model."): name for name in encoder.state_dict()}
    stored = {name.removeprefix("text_model."): value for name, value in weights.items()}
    return {names.get(name, name): value for name, value in stored.items() if name != "embeddings.position_ids"}


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer of a folder, from `tokenizer.json` or from `vocab.json` and `merges.txt`.

    Raises:
        CheckpointError: a file is missing or corrupt.
    """
    # Without its files, transformers silently makes a tokenizer without any words.
    if not any(all((folder / name).is_file() for name in names) for names in TOKENIZER_FILES):
        lines = " nor ".join(" and ".join(names) for names in TOKENIZER_FILES)
        raise CheckpointError(f"tokenizer is missing: {folder} has neither {lines}")
    try:
        return CLIPTokenizer.from_pretrained(folder)
    except Exception as error:
        # The tokenizers library raises bare exceptions.
        raise CheckpointError(f"tokenizer ({folder}) is corrupt: {error!r}") from error


def load_scheduler(folder: Path, as_published: bool) -> DDIMScheduler:
    """The noise schedule of a folder: DDIM as configured; any other is replaced by the published model's.

    With `as_published`, a DDIM schedule is that of Stable Diffusion, whose betas are replaced by the published ones.

    Raises:
        CheckpointError: the configuration is missing, corrupt or invalid.
    """
    path = folder / "scheduler_config.json"
    config = read_json(path)
    if config.get("_class_name") != DDIMScheduler.__name__:
        config = PUBLISHED_SCHEDULER
    elif as_published:
        config = config | PUBLISHED_BETAS
    try:
        return DDIMScheduler(**known_fields(DDIMScheduler, config))
    except Exception as error:
        raise CheckpointError(f"{path} describes no scheduler: {error!r}") from error


def read_all(files: Files) -> dict[str, Tensor]:
    """The tensors of all files; raises `CheckpointError` as `read_weights` does."""
    weights: dict[str, Tensor] = {}
    for path in files:
        weights |= read_weights(path)
    return weights


def describe_files(files: Files) -> str:
    """A short description of the files, for error messages."""
    return str(files[0]) if len(files) == 1 else f"{len(files)} shards in {files[0].parent}"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        CheckpointError: there is no such file, or it does not contain a JSON object.
    """
    if not path.is_file():
        raise CheckpointError(f"{path.parent.name} is missing: there is no {path}")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return fields


def built(network: type[Network], folder: Path) -> Network:
    """A network built from a folder's configuration, with its weights on the meta device.

    Raises:
        CheckpointError: the configuration is missing, corrupt or invalid.
    """
    fields = known_fields(network, read_json(folder / "config.json"))
    return without_memory(lambda: network(**fields), folder)


def without_memory(build: Callable[[], Network], folder: Path) -> Network:
    """Call `build` with weights on the meta device.

    Raises:
        CheckpointError: it fails because the folder's configuration is invalid.
    """
    try:
        with init_empty_weights():
            return build()
    except Exception as error:
        # A constructor may raise anything for invalid numbers.
        raise CheckpointError(f"{folder / 'config.json'} describes no network: {error!r}") from error


def known_fields(known: type, config: dict[str, Any]) -> dict[str, Any]:
    """The fields of a configuration that the class's constructor takes."""
    parameters = inspect.signature(known).parameters
    return {name: value for name, value in config.items() if name in parameters}
