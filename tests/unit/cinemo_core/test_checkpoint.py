"""Where models are loaded from, and the error if one is unavailable."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from cinemo_core import CheckpointError, CinemoPipeline
from cinemo_core.checkpoint import BUILT_IN, revision, weights_revision
from cinemo_spec.card import ModelCard


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUILT_IN["tiny"], tmp_path / "copy"))


def test_the_built_in_models_take_at_most_15_megabytes() -> None:
    files = (path for folder in BUILT_IN.values() for path in folder.rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) <= 15_000_000


def test_a_folder_with_the_same_weights_has_the_same_revision(copy: Path, tiny: CinemoPipeline) -> None:
    pipe = CinemoPipeline.from_pretrained(copy)
    assert pipe.revision == tiny.revision == revision(copy)
    assert pipe.card == ModelCard.read(BUILT_IN["tiny"])


def test_a_bare_weight_file_or_another_codec_changes_the_revision(official: Path) -> None:
    bare = official / "text_encoder" / "pytorch_model.bin"
    assert len({revision(official), revision(official, bare), revision(official, codec="vae")}) == 3


def test_other_weights_change_the_revision(copy: Path) -> None:
    before = revision(copy)
    with (copy / "unet" / "diffusion_pytorch_model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x77")
    assert revision(copy) != before


@pytest.mark.parametrize(
    "file",
    ["cinemo.json", "unet/config.json", "vae/config.json", "text_encoder/config.json", "tokenizer/tokenizer.json"],
)
def test_using_the_same_weights_in_another_way_changes_the_revision(copy: Path, file: str) -> None:
    before = revision(copy), weights_revision(copy)
    (copy / file).write_text((copy / file).read_text() + " ")
    assert revision(copy) != before[0]
    assert weights_revision(copy) == before[1], "which a training goes on by"


def test_a_saved_pipeline_has_the_same_revision_once_loaded(tiny: CinemoPipeline, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path / "saved")
    again = CinemoPipeline.from_pretrained(tmp_path / "saved")
    assert again.card == tiny.card
    assert again.scheduler.config.prediction_type == tiny.scheduler.config.prediction_type
    assert torch.equal(again.scheduler.alphas_cumprod, tiny.scheduler.alphas_cumprod)
    weights = again.unet.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in tiny.unet.state_dict().items())


def test_weights_are_read_in_full_only_for_their_revision(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(BUILT_IN["tiny"], tmp_path / "tiny"))
    pipe = CinemoPipeline.from_pretrained(folder)
    shutil.rmtree(folder)
    with pytest.raises(CheckpointError, match="text_encoder"):
        _ = pipe.revision


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_missing_part_is_named(copy: Path, part: str) -> None:
    shutil.rmtree(copy / part)
    with pytest.raises(CheckpointError, match=part):
        CinemoPipeline.from_pretrained(copy)


def test_a_codec_of_an_unknown_class_is_rejected(copy: Path) -> None:
    (copy / "vae" / "config.json").write_text(json.dumps({"_class_name": "Surprise"}))
    with pytest.raises(CheckpointError, match="Surprise"):
        CinemoPipeline.from_pretrained(copy)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}', '{"name": "x", "colour": 1, "motion_scale": {}}'])
def test_an_invalid_model_card_is_rejected(copy: Path, text: str) -> None:
    (copy / "cinemo.json").write_text(text)
    with pytest.raises(CheckpointError, match="model card"):
        ModelCard.read(copy)


def test_without_a_card_the_published_models_defaults_apply(tmp_path: Path) -> None:
    card = ModelCard.read(tmp_path)
    assert (card.width, card.height, card.num_inference_steps, card.guidance_scale) == (512, 320, 50, 7.5)
    assert card.motion_scale.bucket(5) == 95


def test_without_a_card_a_model_is_named_after_its_folder_or_repository(tmp_path: Path) -> None:
    assert ModelCard.read(tmp_path / "mine").name == "mine"
    snapshot = tmp_path / "models--maxin-cn--Cinemo" / "snapshots" / ("0" * 40)
    assert ModelCard.read(snapshot).name == "maxin-cn/Cinemo"


@pytest.mark.parametrize("name", ["nonsense", "./nowhere/at/all", "/no/such", "a/b/c"])
def test_an_unknown_name_is_rejected_with_the_possible_kinds(name: str) -> None:
    with pytest.raises(CheckpointError, match="tiny"):
        CinemoPipeline.from_pretrained(name)
