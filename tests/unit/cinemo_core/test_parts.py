"""Components in the published layout: read exactly and silently, and rejected if they do not match."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLTemporalDecoder
from safetensors.torch import load_file, save_file

from cinemo_core import CheckpointError
from cinemo_core.checkpoint import BUILT_IN, Codec, load_parts
from cinemo_core.parts import load_codec, load_scheduler, load_text_encoder, load_tokenizer, load_unet
from cinemo_core.weight_files import weight_files
from cinemo_spec.card import ModelCard
from tests.goldens import manifest
from tests.official import SCHEDULER, UNET, write_json
from tests.systems import need_linux
from tests.unit.cinemo_core.trap import Trap

NETWORKS = ["unet", "vae", "vae_temporal_decoder", "text_encoder"]
FLOATS = torch.float32


def load(folder: Path, codec: Codec = "auto", unet_weights: Path | None = None) -> dict[str, Any]:
    return load_parts(folder, FLOATS, codec, unet_weights)


def load_with(folder: Path, part: str) -> dict[str, Any]:
    """All parts, with the image codec under test."""
    return load(folder, "vae" if part == "vae" else "auto")


def weights_of(folder: Path) -> Path:
    (path,) = weight_files(folder)
    return path


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a weight file in place."""
    pickled = path.suffix == ".bin"
    weights = torch.load(path, weights_only=True) if pickled else load_file(path)
    change(weights)
    if pickled:
        torch.save(weights, path)
    else:
        save_file(weights, path)


def private_memory_bytes() -> int:
    """This process's memory that is not backed by a file."""
    need_linux("tells what memory is private")
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) * 1024


def write_full_size(folder: Path) -> Path:
    """The published configuration, and 3.6 GB of zeros under the released names in a file that takes no room."""
    sizes = {"block_out_channels": [320, 640, 1280, 1280], "attention_head_dim": 8, "cross_attention_dim": 768}
    write_json(folder / "config.json", {**UNET, **sizes, "norm_num_groups": 32, "layers_per_block": 2})
    header, end = {}, 0
    for name, shape in manifest("official").items():
        start, end = end, end + 4 * torch.Size(shape).numel()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path = folder / "diffusion_pytorch_model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


def test_the_temporal_decoder_is_used_if_there_is_one(official: Path, official_copy: Path) -> None:
    shutil.rmtree(official_copy / "vae_temporal_decoder")
    assert type(load(official)["vae"]) is AutoencoderKLTemporalDecoder
    assert type(load(official, "vae")["vae"]) is AutoencoderKL
    assert type(load(official_copy)["vae"]) is AutoencoderKL


def test_a_missing_requested_codec_is_named() -> None:
    with pytest.raises(CheckpointError, match="vae_temporal_decoder is missing"):
        load(BUILT_IN["tiny"], "vae_temporal_decoder")


def test_every_weight_of_the_unet_equals_the_files(official: Path) -> None:
    stored = torch.load(official / "unet" / "diffusion_pytorch_model.bin", weights_only=True)
    loaded = load(official)["unet"].state_dict()
    assert loaded.keys() == manifest("tiny").keys()
    assert all(torch.equal(loaded[name], stored[name]) for name in stored)


def test_old_attention_names_load_as_diffusers_loads_them(official: Path) -> None:
    ours = load(official, "vae")["vae"].state_dict()
    theirs = AutoencoderKL.from_pretrained(official / "vae").state_dict()
    assert "encoder.mid_block.attentions.0.to_q.weight" in ours
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_text_encoder_of_transformers_4_loads_without_its_positions(official: Path) -> None:
    stored = torch.load(official / "text_encoder" / "pytorch_model.bin", weights_only=True)
    assert "text_model.embeddings.position_ids" in stored
    encoder = load(official)["text_encoder"]
    assert torch.equal(encoder.get_input_embeddings().weight, stored["text_model.embeddings.token_embedding.weight"])
    assert encoder(torch.tensor([[3, 4, 5]])).last_hidden_state.isfinite().all()


def test_a_text_encoder_saved_by_this_version_loads_alike(official: Path, tmp_path: Path) -> None:
    encoder = load(official)["text_encoder"]
    encoder.save_pretrained(tmp_path)
    again = load_text_encoder(tmp_path, FLOATS).state_dict()
    assert all(torch.equal(again[name], value) for name, value in encoder.state_dict().items())


def test_a_tokenizer_loads_from_vocabulary_and_merges(official: Path) -> None:
    tokenizer = load_tokenizer(official / "tokenizer")
    vocabulary = json.loads((official / "tokenizer" / "vocab.json").read_text())
    words = ("<|startoftext|>", "pan</w>", "left</w>", "<|endoftext|>")
    assert tokenizer("Pan left").input_ids == [vocabulary[word] for word in words]


def test_networks_are_loaded_in_evaluation_mode_and_the_requested_dtype(official: Path) -> None:
    for name in ("unet", "vae", "text_encoder"):
        part = load_parts(official, torch.float16)[name]
        assert not part.training
        assert {value.dtype for value in part.parameters()} == {torch.float16}
        assert not any(value.is_meta for value in part.state_dict().values())


def test_another_schedule_class_is_read_as_the_published_models(official: Path) -> None:
    config = load(official)["scheduler"].config
    assert (config.beta_schedule, config.beta_start, config.beta_end) == ("linear", 0.0001, 0.02)
    assert (config.num_train_timesteps, config.steps_offset, config.prediction_type) == (1000, 1, "epsilon")
    assert not config.clip_sample
    assert not config.set_alpha_to_one


def test_without_a_card_a_ddim_schedule_has_the_published_betas(official_copy: Path) -> None:
    write_json(official_copy / "scheduler" / "scheduler_config.json", {**SCHEDULER, "_class_name": "DDIMScheduler"})
    scheduler = load(official_copy)["scheduler"]
    assert scheduler.alphas_cumprod[981] == pytest.approx(5.8e-5, rel=0.02), "not Stable Diffusion's 5.8e-3"
    ModelCard("mine").write(official_copy)
    assert load(official_copy)["scheduler"].config.beta_schedule == "scaled_linear", "a card's model says for itself"


def test_a_ddim_schedule_is_used_as_it_is(tmp_path: Path) -> None:
    changes = {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction"}
    write_json(tmp_path / "scheduler_config.json", {**SCHEDULER, **changes})
    config = load_scheduler(tmp_path, as_published=False).config
    assert (config.beta_schedule, config.prediction_type) == ("scaled_linear", "v_prediction")


@pytest.mark.parametrize("name", ["model.safetensors", "weights.ckpt"])
def test_the_unet_can_come_from_a_bare_file(official: Path, tmp_path: Path, name: str) -> None:
    weights = {key: value + 1 for key, value in load(official)["unet"].state_dict().items()}
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({"ema": {f"module.{key}": value for key, value in weights.items()}, "model": {}}, path)
    loaded = load(official, unet_weights=path)["unet"].state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())


def test_a_bare_file_does_not_need_weights_in_the_folder(official_copy: Path, tmp_path: Path) -> None:
    bare = (official_copy / "unet" / "diffusion_pytorch_model.bin").rename(tmp_path / "cinemo.pt")
    assert load(official_copy, unet_weights=bare)["unet"].config.in_channels == 4


def test_safetensors_take_precedence_over_pickles(official_copy: Path) -> None:
    folder = official_copy / "vae"
    weights = torch.load(weights_of(folder), weights_only=True)
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    (folder / "diffusion_pytorch_model.bin").write_bytes(b"never read")
    assert load(official_copy, "vae")


@pytest.mark.parametrize("part", [*NETWORKS, "tokenizer", "scheduler"])
def test_a_missing_part_is_named(official_copy: Path, part: str) -> None:
    shutil.rmtree(official_copy / part)
    if part == "vae_temporal_decoder":
        (official_copy / part).mkdir()
    with pytest.raises(CheckpointError, match=f"{part} is missing"):
        load_with(official_copy, part)


@pytest.mark.parametrize("part", NETWORKS)
def test_missing_weights_are_distinguished_from_a_missing_part(official_copy: Path, part: str) -> None:
    weights_of(official_copy / part).unlink()
    with pytest.raises(CheckpointError, match=f"{part} has no weights"):
        load_with(official_copy, part)


@pytest.mark.parametrize("part", NETWORKS)
@pytest.mark.parametrize("fault", ["missing", "unexpected", "of another shape"])
def test_mismatched_weights_are_rejected_by_part_and_name(official_copy: Path, part: str, fault: str) -> None:
    def change(weights: dict[str, Any]) -> None:
        name = next(name for name in weights if name.endswith("bias"))
        if fault == "missing":
            del weights[name]
        elif fault == "unexpected":
            weights["surprise.bias"] = weights[name].clone()
        else:
            weights[name] = torch.zeros(3, 5)

    path = weights_of(official_copy / part)
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=rf"{part} .*1 {fault} \(\S*bias") as caught:
        load_with(official_copy, part)
    assert str(path) in str(caught.value)
    assert ("3x5 instead of " in str(caught.value)) == (fault == "of another shape")


@pytest.mark.parametrize("part", NETWORKS)
def test_a_corrupt_weight_file_is_named(official_copy: Path, part: str) -> None:
    path = weights_of(official_copy / part)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=str(path)):
        load_with(official_copy, part)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "bare"])
def test_a_pickle_with_anything_but_tensors_is_rejected_without_running_it(official_copy: Path, part: str) -> None:
    path = official_copy / "bare.pt" if part == "bare" else weights_of(official_copy / part)
    torch.save({"weight": torch.ones(1), "trap": Trap(official_copy / "obeyed")}, path)
    with pytest.raises(CheckpointError, match="rejected"):
        load(official_copy, "vae", path if part == "bare" else None)
    assert not (official_copy / "obeyed").exists()


@pytest.mark.parametrize("file", ["unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b""])
def test_a_broken_configuration_is_named(official_copy: Path, file: str, content: bytes) -> None:
    (official_copy / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=file):
        load(official_copy, "vae")


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("unet/config.json", {"block_out_channels": "wide"}),
        ("unet/config.json", {"norm_num_groups": 0}),
        ("vae/config.json", {"down_block_types": ["Nonsense"] * 4}),
        ("vae/config.json", {"_class_name": ["AutoencoderKL"]}),
        ("text_encoder/config.json", {"num_attention_heads": 5}),
        ("text_encoder/config.json", {"hidden_size": "wide"}),
        ("scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler", "num_train_timesteps": "many"}),
    ],
)
def test_an_impossible_configuration_is_named(official_copy: Path, file: str, change: dict[str, Any]) -> None:
    path = official_copy / file
    write_json(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(CheckpointError, match=file.split("/")[0]):
        load(official_copy, "vae")


@pytest.mark.parametrize(
    ("file", "content"),
    [("vocab.json", "{"), ("vocab.json", "[]"), ("merges.txt", "un known\n"), ("tokenizer_config.json", "{")],
)
def test_a_broken_tokenizer_is_named(official_copy: Path, file: str, content: str) -> None:
    (official_copy / "tokenizer" / file).write_text(content)
    with pytest.raises(CheckpointError, match="tokenizer"):
        load(official_copy)


@pytest.mark.parametrize("file", ["vocab.json", "merges.txt"])
def test_an_incomplete_tokenizer_is_rejected(official_copy: Path, file: str) -> None:
    (official_copy / "tokenizer" / file).unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer is missing.*vocab\.json and merges\.txt"):
        load(official_copy)


@pytest.mark.parametrize(
    ("strangers", "joint"),
    [
        (["vae"], "latent channels of vae and unet differ: 5 and 4"),
        (["text_encoder", "tokenizer"], "widths of text_encoder and unet differ: 64 and 32"),
        (["unet", "vae", "text_encoder"], "tokenizer has 531 words, the text_encoder knows 287"),
    ],
)
def test_parts_of_different_models_are_rejected(official_copy: Path, strangers: list[str], joint: str) -> None:
    for name in strangers:
        shutil.rmtree(official_copy / name)
        shutil.copytree(BUILT_IN["tiny"] / name, official_copy / name)
    with pytest.raises(CheckpointError, match=joint):
        load(official_copy, "vae")


def test_the_full_size_unet_is_mapped_instead_of_read(tmp_path: Path) -> None:
    path = write_full_size(tmp_path)
    before = private_memory_bytes()
    unet = load_unet(tmp_path, (path,), FLOATS)
    assert sum(value.numel() for value in unet.state_dict().values()) > 911_000_000
    assert private_memory_bytes() - before < 100_000_000
    assert {name: list(value.shape) for name, value in unet.state_dict().items()} == manifest("official")


def test_the_built_in_codec_loads_exactly(tmp_path: Path) -> None:
    folder = BUILT_IN["tiny"] / "vae"
    stored = load_file(folder / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(value, stored[name]) for name, value in load_codec(folder, None).state_dict().items())
