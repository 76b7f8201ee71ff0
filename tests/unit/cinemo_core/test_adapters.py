"""A pipeline merges adapters over one base: pinned, weighted, swapped in place, and removed exactly."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cinemo_core import CheckpointError, CinemoPipeline, convert
from cinemo_core.checkpoint import BUILT_IN, revision, weights_revision
from cinemo_core.checksums import sha256_of
from cinemo_spec.card import Base, ModelCard
from tests.adapters import random_adapter

SMALL: dict[str, Any] = {"detail": "off", "width": 64, "height": 64, "num_frames": 8, "num_inference_steps": 2}
PROMPT = "pan left"
TINY_WEIGHTS = BUILT_IN["tiny"] / "unet" / "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter with its own card and noise schedule."""
    folder = random_adapter(tmp_path_factory.mktemp("adapters") / "waves", seed=1, card={"num_inference_steps": 4})
    schedule = CinemoPipeline.from_pretrained("tiny").scheduler
    schedule.register_to_config(timestep_spacing="trailing")
    schedule.save_pretrained(folder / "scheduler")
    return folder


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_adapter(tmp_path_factory.mktemp("adapters") / "birds", seed=2, target_modules=["conv1", "to_q"])


@pytest.fixture(scope="module")
def base() -> CinemoPipeline:
    """A pipeline for these tests only, which change its weights."""
    return quiet(CinemoPipeline.from_pretrained("tiny"))


def quiet(pipe: CinemoPipeline) -> CinemoPipeline:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def frames(pipe: CinemoPipeline, photo: Image.Image) -> np.ndarray:
    return pipe(photo, PROMPT, **SMALL)


def latents(pipe: CinemoPipeline, photo: Image.Image) -> torch.Tensor:
    return pipe(photo, PROMPT, output_type="latent", **SMALL)


def copy_of(adapter: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in adapter.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_an_adapter_has_its_own_card_and_schedule(waves: Path) -> None:
    pipe = CinemoPipeline.from_pretrained(waves)
    assert (pipe.card.name, pipe.card.num_inference_steps) == ("waves", 4)
    assert pipe.card.base == Base("tiny", revision(BUILT_IN["tiny"]))
    assert pipe.scheduler.config.timestep_spacing == "trailing"
    assert pipe.revision == revision(waves)
    assert pipe.pin == pipe.card.base.revision


def test_an_adapter_gives_the_frames_of_its_merged_export(
    base: CinemoPipeline, waves: Path, coffee: Image.Image, tmp_path: Path
) -> None:
    convert(waves, tmp_path / "whole", torch.float32)
    expected = latents(quiet(CinemoPipeline.from_pretrained(tmp_path / "whole")), coffee)
    adapted = latents(quiet(CinemoPipeline.from_pretrained(waves)), coffee)
    torch.testing.assert_close(adapted, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(adapted, latents(base, coffee), atol=1e-2)
    assert ModelCard.read(tmp_path / "whole") == replace(ModelCard.read(waves), base=None)


def test_an_export_in_its_bases_precision_gives_nearly_the_same_frames(
    waves: Path, tmp_path: Path, coffee: Image.Image
) -> None:
    convert(waves, tmp_path / "whole")
    expected = latents(quiet(CinemoPipeline.from_pretrained(tmp_path / "whole")), coffee)
    adapted = latents(quiet(CinemoPipeline.from_pretrained(waves)), coffee)
    torch.testing.assert_close(adapted, expected, atol=0.05, rtol=0.05)


def test_a_model_published_merged_still_loads(waves: Path, tmp_path: Path) -> None:
    convert(waves, tmp_path / "merged")
    copy_of(waves, tmp_path / "merged" / "lora")
    pipe = CinemoPipeline.from_pretrained(tmp_path / "merged")
    assert (pipe.adapters, pipe.card.base) == ((), None)


def test_a_pipeline_made_of_another_ones_parts_has_their_adapters(waves: Path, coffee: Image.Image) -> None:
    pipe = quiet(CinemoPipeline.from_pretrained(waves))
    again = quiet(CinemoPipeline(**pipe.components))
    assert (again.adapters, again.card) == (pipe.adapters, pipe.card)
    assert np.array_equal(frames(again, coffee), frames(pipe, coffee))


def test_a_saved_pipeline_has_its_adapters_merged(waves: Path, tmp_path: Path, coffee: Image.Image) -> None:
    pipe = quiet(CinemoPipeline.from_pretrained(waves))
    pipe.save_pretrained(tmp_path / "saved")
    again = quiet(CinemoPipeline.from_pretrained(tmp_path / "saved"))
    assert again.card.base is None
    assert not again.adapters
    assert np.array_equal(frames(again, coffee), frames(pipe, coffee))


def test_removing_an_adapter_restores_the_base_bit_for_bit(
    base: CinemoPipeline, waves: Path, birds: Path, coffee: Image.Image
) -> None:
    first = latents(base, coffee)
    places = {name: value.data_ptr() for name, value in base.unet.state_dict().items()}
    both = base.with_adapters([(waves, 1.0), (birds, 0.5)])
    assert both.unet is base.unet
    mixed = latents(both, coffee)
    one = latents(base.with_adapters([(birds, 1.0)]), coffee)
    assert torch.equal(latents(base, coffee), first)
    assert torch.equal(latents(both, coffee), mixed)
    assert len({float(each.sum()) for each in (first, mixed, one)}) == 3
    base.adapted_unet()
    assert {name: value.data_ptr() for name, value in base.unet.state_dict().items()} == places
    stored = load_file(TINY_WEIGHTS)
    assert all(torch.equal(value.half(), stored[name]) for name, value in base.unet.state_dict().items())


def test_an_adapter_needs_no_second_copy_of_the_base(base: CinemoPipeline, waves: Path) -> None:
    adapted = base.with_adapters([(waves, 1.0)])
    adapted.adapted_unet()
    whole = sum(value.nbytes for value in base.unet.state_dict().values())
    projections = [value for name, value in base.unet.state_dict().items() if ".attn" in name and ".to_" in name]
    assert base.unet.merged.bytes <= sum(value.nbytes for value in projections) < whole / 4
    assert adapted.adapters[0][0].bytes < whole / 10
    base.adapted_unet()
    assert base.unet.merged.bytes == 0


def test_adapter_weights_scale_and_add_up(base: CinemoPipeline, waves: Path, birds: Path) -> None:
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"

    def weight(*adapters: tuple[Path, float]) -> torch.Tensor:
        unet = base.with_adapters(adapters).adapted_unet()
        return unet.get_submodule(name).get_parameter("weight").detach().clone()

    plain = weight()
    one, other = weight((waves, 1.0)) - plain, weight((birds, 1.0)) - plain
    torch.testing.assert_close(weight((waves, 0.5), (birds, -2.0)), plain + 0.5 * one - 2 * other)
    assert torch.equal(weight((waves, 0.0)), plain)


def test_adapters_can_be_added_to_a_model_that_is_an_adapter(waves: Path, birds: Path, coffee: Image.Image) -> None:
    turbo = quiet(CinemoPipeline.from_pretrained(waves))
    both = turbo.with_adapters([(birds, 0.5)])
    assert both.card == turbo.card
    assert both.scheduler.config.timestep_spacing == "trailing"
    assert [weight for _, weight in both.adapters] == [1.0, 0.5]
    assert not np.array_equal(frames(both, coffee), frames(turbo, coffee))


def test_every_adapter_and_weight_changes_the_digest(base: CinemoPipeline, waves: Path, birds: Path) -> None:
    settings = [[], [(waves, 1.0)], [(waves, 0.7)], [(birds, 1.0)], [(waves, 1.0), (birds, 1.0)]]
    digests = {base.with_adapters(each).digest for each in settings}
    assert len(digests) == len(settings)
    assert base.with_adapters([(waves, 0.7)]).digest in digests
    assert base.with_adapters([]).digest == base.digest


def test_an_adapter_of_another_base_is_rejected(
    base: CinemoPipeline, waves: Path, official: Path, tmp_path: Path
) -> None:
    other = copy_of(waves, tmp_path / "other")
    replace(ModelCard.read(waves), base=Base("tiny", "0123456789ab")).write(other)
    reported = "was trained on tiny, revision 0123456789ab, and this base has revision"
    with pytest.raises(CheckpointError, match=reported):
        CinemoPipeline.from_pretrained(other)
    with pytest.raises(CheckpointError, match=reported):
        base.with_adapters([(other, 1.0)])
    with pytest.raises(CheckpointError, match="was trained on tiny"):
        CinemoPipeline.from_pretrained(waves, base=official)
    with pytest.raises(CheckpointError, match="has no base"):
        CinemoPipeline.from_pretrained("tiny", base="tiny")


def test_a_base_may_be_in_another_place_than_the_card_says(waves: Path, tmp_path: Path, coffee: Image.Image) -> None:
    moved = copy_of(waves, tmp_path / "moved")
    replace(ModelCard.read(waves), base=Base("gone", revision(BUILT_IN["tiny"]))).write(moved)
    with pytest.raises(CheckpointError, match="gone is neither"):
        CinemoPipeline.from_pretrained(moved)
    assert CinemoPipeline.from_pretrained(moved, base="tiny").adapters
    (moved / "base").symlink_to(BUILT_IN["tiny"])
    assert CinemoPipeline.from_pretrained(moved).adapters


def test_an_adapter_cannot_be_a_base(waves: Path) -> None:
    with pytest.raises(CheckpointError, match="is an adapter, and cannot be the base"):
        CinemoPipeline.from_pretrained(waves, base=waves)


def test_a_full_model_is_rejected_as_an_adapter(base: CinemoPipeline) -> None:
    with pytest.raises(CheckpointError, match="its card names no base"):
        base.with_adapters([("tiny", 1.0)])


@pytest.mark.parametrize(
    ("fault", "reported"),
    [
        ("half", "has only one of lora_A and lora_B"),
        ("stranger", "it contains base_model.model.conv_in.bias"),
        ("dora", "not a plain LoRA adapter: use_dora"),
        ("no alpha", "invalid adapter_config.json"),
        ("no pattern", "invalid adapter_config.json"),
        ("no rank", "invalid adapter_config.json"),
        ("misfit", "does not fit its base: the update of mid_block"),
        ("unknown layer", "does not fit its base: the update of nowhere"),
        ("no weights", "adapter_model.safetensors does not exist"),
    ],
)
def test_a_damaged_adapter_is_rejected_and_leaves_the_base_unchanged(
    base: CinemoPipeline, waves: Path, tmp_path: Path, fault: str, reported: str
) -> None:
    broken = copy_of(waves, tmp_path / "broken")
    config, weights = (
        json.loads((broken / "adapter_config.json").read_text()),
        load_file(broken / "adapter_model.safetensors"),
    )
    first = next(name for name in sorted(weights) if ".mid_block." in name and "lora_A" in name)
    match fault:
        case "half":
            del weights[first]
        case "stranger":
            weights["base_model.model.conv_in.bias"] = torch.zeros(3)
        case "dora":
            config["use_dora"] = True
        case "no alpha":
            config["lora_alpha"] = None
        case "no pattern":
            config["alpha_pattern"] = {"(": 1}
        case "no rank":
            weights |= {name: value[:0] for name, value in weights.items() if name == first}
        case "misfit":
            weights[first] = weights[first][:, 1:].contiguous()
        case "unknown layer":
            weights |= {f"base_model.model.nowhere.lora_{each}.weight": torch.zeros(1, 1) for each in "AB"}
    save_file(weights, broken / "adapter_model.safetensors")
    (broken / "adapter_config.json").write_text(json.dumps(config))
    if fault == "no weights":
        (broken / "adapter_model.safetensors").unlink()
    before = base.adapted_unet().state_dict()
    with pytest.raises(CheckpointError, match=reported):
        base.with_adapters([(waves, 1.0), (broken, 1.0)])
    assert all(torch.equal(value, before[name]) for name, value in base.adapted_unet().state_dict().items())
    with pytest.raises(CheckpointError):
        CinemoPipeline.from_pretrained(broken)


def test_merging_into_mapped_weights_does_not_change_the_file(waves: Path, coffee: Image.Image) -> None:
    before = sha256_of(TINY_WEIGHTS)
    pipe = quiet(CinemoPipeline.from_pretrained(waves, torch.float16))
    assert pipe.unet.merged.bytes
    assert sha256_of(TINY_WEIGHTS) == before


def test_an_adapters_weight_files_include_its_bases(waves: Path, birds: Path, tmp_path: Path) -> None:
    other = copy_of(waves, tmp_path / "other")
    replace(ModelCard.read(waves), base=Base("tiny", "0123456789ab")).write(other)
    assert len({weights_revision(each) for each in (waves, birds, other)}) == 3
    renamed = copy_of(waves, tmp_path / "renamed")
    replace(ModelCard.read(waves), name="renamed").write(renamed)
    assert weights_revision(renamed) == weights_revision(waves)
    assert revision(renamed) != revision(waves)
