"""A checkpoint in the published layout animates, and its conversion gives bit-identical frames."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cinemo_core import CheckpointError, CinemoPipeline, MotionScale
from cinemo_core.checkpoint import BUILT_IN, Codec, load_parts
from cinemo_core.conversion import convert
from cinemo_core.media import Frames
from cinemo_spec.card import ModelCard
from tests.official import public


def animate(folder: Path, image: Image.Image, **size: Any) -> Frames:
    pipe = CinemoPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe(image, "the sea", num_inference_steps=2, guidance_scale=2.0, detail="off", **size)


def same_weights(one: dict[str, Any], other: dict[str, Any]) -> bool:
    pairs = [(one[name].state_dict(), other[name].state_dict()) for name in ("unet", "vae", "text_encoder")]
    return all(a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a) for a, b in pairs)


def test_the_published_layout_animates_at_the_published_size_without_a_card(
    official_copy: Path, coffee: Image.Image
) -> None:
    shutil.rmtree(official_copy / "vae_temporal_decoder")
    frames = animate(official_copy, coffee)
    assert frames.shape == (16, 320, 512, 3)
    assert not np.array_equal(frames[1], frames[15])


def test_the_published_layout_animates_with_its_temporal_decoder(official: Path, coffee: Image.Image) -> None:
    assert animate(official, coffee, width=64, height=48).shape == (16, 48, 64, 3)


def test_a_converted_checkpoint_gives_the_same_frames(official_copy: Path, coffee: Image.Image, tmp_path: Path) -> None:
    shutil.rmtree(official_copy / "vae_temporal_decoder")
    convert(official_copy, tmp_path / "new")
    source, converted = (animate(folder, coffee, width=64, height=48) for folder in (official_copy, tmp_path / "new"))
    assert np.array_equal(source, converted)


@pytest.mark.parametrize("codec", ["vae", "vae_temporal_decoder"])
def test_a_converted_checkpoint_has_the_chosen_codec_and_the_same_weights(
    official: Path, tmp_path: Path, codec: Codec
) -> None:
    convert(official, tmp_path / "new", codec=codec)
    source, converted = load_parts(official, None, codec), load_parts(tmp_path / "new", None)
    assert type(source["vae"]) is type(converted["vae"])
    assert public(source["scheduler"].config) == public(converted["scheduler"].config)
    assert same_weights(source, converted)


def test_a_converted_checkpoint_is_safetensors_and_a_ddim_schedule(official: Path, tmp_path: Path) -> None:
    convert(official, tmp_path / "new")
    files = {path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert files == {
        "cinemo.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }
    schedule = json.loads((tmp_path / "new" / "scheduler" / "scheduler_config.json").read_text())
    assert schedule["_class_name"] == "DDIMScheduler"


def test_a_converted_tokenizer_tokenizes_alike(official: Path, tmp_path: Path) -> None:
    convert(official, tmp_path / "new")
    old, new = load_parts(official, None)["tokenizer"], load_parts(tmp_path / "new", None)["tokenizer"]
    texts = ["", "the sea", "Wind — über  das Meer", "pan left " * 60]
    settings = {"padding": "max_length", "truncation": True, "max_length": 77}
    assert old(texts, **settings).input_ids == new(texts, **settings).input_ids


def test_the_dtype_is_the_requested_or_the_stored_one(official: Path, tmp_path: Path) -> None:
    convert(official, tmp_path / "half", torch.float16)
    convert(tmp_path / "half", tmp_path / "kept")
    convert(official, tmp_path / "whole")
    dtypes = {
        name: {value.dtype for value in load_parts(tmp_path / name, None)["unet"].parameters()}
        for name in ("half", "kept", "whole")
    }
    assert dtypes == {"half": {torch.float16}, "kept": {torch.float16}, "whole": {torch.float32}}


def test_a_checkpoint_converted_to_half_precision_equals_loading_in_half_precision(
    official: Path, tmp_path: Path
) -> None:
    convert(official, tmp_path / "half", torch.float16)
    assert same_weights(load_parts(official, torch.float16), load_parts(tmp_path / "half", None))


def test_a_bare_weight_file_can_be_converted(official: Path, tmp_path: Path) -> None:
    weights = {name: value * 2 for name, value in load_parts(official, None)["unet"].state_dict().items()}
    torch.save({"model": {}, "ema": weights}, tmp_path / "cinemo.pt")
    convert(official, tmp_path / "new", unet_weights=tmp_path / "cinemo.pt")
    loaded = load_parts(tmp_path / "new", None)["unet"].state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())


def test_the_converted_card_has_the_given_values_or_the_sources(official: Path, tmp_path: Path) -> None:
    convert(official, tmp_path / "new", name="Cinemo", motion_scale=MotionScale(at_zero=20.0, per_intensity=-1.0))
    card = ModelCard.read(tmp_path / "new")
    assert (card.name, card.width, card.guidance_scale) == ("Cinemo", 512, 7.5)
    assert card.motion_scale.bucket(5) == 15
    convert(tmp_path / "new", tmp_path / "again", width=256)
    assert ModelCard.read(tmp_path / "again") == dataclasses.replace(card, width=256)


def test_the_built_in_model_can_be_converted(tmp_path: Path) -> None:
    convert("tiny", tmp_path / "new")
    assert same_weights(load_parts(BUILT_IN["tiny"], None), load_parts(tmp_path / "new", None))
    assert ModelCard.read(tmp_path / "new") == ModelCard.read(BUILT_IN["tiny"])


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_existing_files_are_not_overwritten(official: Path, tmp_path: Path, kind: str) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    with pytest.raises(CheckpointError, match="not empty"):
        convert(official, tmp_path if kind == "folder" else kept)
    assert list(tmp_path.iterdir()) == [kept]
    assert kept.read_text() == "mine"


def test_an_empty_folder_is_filled(official: Path, tmp_path: Path) -> None:
    convert(official, tmp_path)
    assert ModelCard.read(tmp_path).name == "official"


def test_a_source_that_does_not_load_leaves_no_files(official_copy: Path, tmp_path: Path) -> None:
    (official_copy / "text_encoder" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match="text_encoder"):
        convert(official_copy, tmp_path / "new")
    assert not (tmp_path / "new").exists()
