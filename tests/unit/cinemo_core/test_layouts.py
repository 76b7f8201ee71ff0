"""Weights as on the hub, in shards and variants, and pipelines that are assembled or saved."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

from cinemo_core import CheckpointError, CinemoPipeline, InvalidParameter
from cinemo_core.checkpoint import hub_files, revision


def same_weights(one: CinemoPipeline, other: CinemoPipeline) -> bool:
    parts = ("unet", "vae", "text_encoder")
    weights = ((getattr(one, part).state_dict(), getattr(other, part).state_dict()) for part in parts)
    return all(torch.equal(value, theirs[name]) for ours, theirs in weights for name, value in ours.items())


@pytest.mark.parametrize(
    "form",
    [
        {"variant": "fp16"},
        {"max_shard_size": "1MB"},
        {"variant": "fp16", "max_shard_size": "1MB"},
        {"safe_serialization": False},
    ],
    ids=lambda form: "-".join(form),
)
def test_a_pipeline_saved_in_any_form_can_be_loaded(tiny: CinemoPipeline, tmp_path: Path, form: dict[str, Any]) -> None:
    tiny.save_pretrained(tmp_path, **form)
    if "max_shard_size" in form:
        assert len(list((tmp_path / "unet").glob("*.safetensors"))) > 1
    for asked in {None, form.get("variant")}:
        again = CinemoPipeline.from_pretrained(tmp_path, variant=asked)
        assert again.card == tiny.card
        assert same_weights(again, tiny)
        assert again.revision == revision(tmp_path)


def test_a_variant_is_used_where_it_exists_and_only_if_requested(tiny: CinemoPipeline, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    other = CinemoPipeline.from_pretrained(tmp_path)
    with torch.no_grad():
        other.unet.conv_out.bias += 1
    other.unet.save_pretrained(tmp_path / "unet", variant="fp16")
    assert same_weights(CinemoPipeline.from_pretrained(tmp_path), tiny)
    assert same_weights(CinemoPipeline.from_pretrained(tmp_path, variant="fp16"), other)
    assert revision(tmp_path) != revision(tmp_path, variant="fp16")
    with pytest.raises(CheckpointError, match="no part has a variant bf16"):
        CinemoPipeline.from_pretrained(tmp_path, variant="bf16")


def test_weights_saved_as_one_file_take_precedence_over_earlier_shards(tiny: CinemoPipeline, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path, max_shard_size="1MB")
    tiny.save_pretrained(tmp_path)
    assert same_weights(CinemoPipeline.from_pretrained(tmp_path), tiny)


@pytest.mark.parametrize("names", ["missing", "../vae/diffusion_pytorch_model.safetensors", ""])
def test_an_index_of_missing_shards_is_rejected(tiny: CinemoPipeline, tmp_path: Path, names: str) -> None:
    tiny.save_pretrained(tmp_path, max_shard_size="1MB")
    index = tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": names}}))
    with pytest.raises(CheckpointError, match="unet"):
        CinemoPipeline.from_pretrained(tmp_path)


def test_shards_and_a_requested_variant_are_fetched_from_the_hub() -> None:
    stem = "unet/diffusion_pytorch_model"
    plain = [f"{stem}.safetensors", f"{stem}.safetensors.index.json", f"{stem}-00001-of-00002.safetensors"]
    fp16 = [
        f"{stem}.fp16.safetensors",
        f"{stem}.safetensors.index.fp16.json",
        f"{stem}.fp16-00001-of-00002.safetensors",
        f"{stem}-00001-of-00002.fp16.safetensors",
    ]
    everything = [*plain, *fp16, "cinemo.pt"]
    assert list(filter_repo_objects(everything, allow_patterns=hub_files())) == plain
    assert list(filter_repo_objects(everything, allow_patterns=hub_files("fp16"))) == [*plain, *fp16]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"dtype": torch.float16}, "torch_dtype"),
        ({"unet_weight": "x.pt"}, "unet_weights"),
        ({"scheduler": None}, "scheduler"),
        ({"torch_dtype": "float16"}, "torch.dtype"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_an_unknown_keyword_is_rejected(given: dict[str, Any], hint: str) -> None:
    with pytest.raises(TypeError, match=hint):
        CinemoPipeline.from_pretrained("tiny", **given)


def test_a_pipeline_that_could_not_be_loaded_again_is_not_saved(tiny: CinemoPipeline, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="use_flashpack"):
        tiny.save_pretrained(tmp_path / "saved", use_flashpack=True)
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("scheduler", [EulerDiscreteScheduler, DPMSolverMultistepScheduler])
def test_an_unsupported_schedule_is_rejected(tiny: CinemoPipeline, scheduler: Any) -> None:
    mine = tiny.scheduler
    with pytest.raises(InvalidParameter, match="DDIMScheduler"):
        tiny.scheduler = scheduler.from_config(mine.config)
    with pytest.raises(InvalidParameter, match="DDIMScheduler"):
        CinemoPipeline(**{**tiny.components, "scheduler": scheduler.from_config(mine.config)})
    assert tiny.scheduler is mine


def test_the_card_is_passed_with_the_weights_to_another_pipeline(tiny: CinemoPipeline, tmp_path: Path) -> None:
    assert CinemoPipeline(**tiny.components).card == tiny.card
    assert CinemoPipeline.from_pipe(tiny).card == tiny.card
    other = replace(tiny.card, num_inference_steps=3)
    assert CinemoPipeline(**tiny.components, card=other).card == other
    tiny.card = tiny.card
    assert tiny.unet.card == tiny.card


def test_a_hub_repository_with_only_variants_loads(official: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(official, tmp_path / "half"))
    for path in [*folder.rglob("*.bin"), *folder.rglob("*.safetensors")]:
        path.rename(path.with_suffix(f".fp16{path.suffix}"))
    assert same_weights(CinemoPipeline.from_pretrained(folder), CinemoPipeline.from_pretrained(official))
