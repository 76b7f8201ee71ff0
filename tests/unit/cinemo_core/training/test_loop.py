"""A whole training run at toy size: it learns, it resumes as if never stopped, and its checkpoint animates."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from cinemo_core import CinemoPipeline
from cinemo_core.checkpoint import BUILT_IN
from cinemo_core.training.config import Recipe
from cinemo_core.training.loop import Run, train
from cinemo_core.training.publish import publish

RATES = {"learning_rate": 3e-3, "last_learning_rate": 1e-3, "warmup_steps": 5}
RECIPE = {
    "name": "toy",
    "prediction_type": "v_prediction",
    "autocast_bfloat16": False,
    "prompt_dropout": 0.1,
    "ema_decay": 0.9,
    "log_every_steps": 5,
    "save_every_steps": 10,
    "clips": {"clips": 8, "shards": 1, "processes": 1, "textures": 2, "height": 32, "width": 48},
    "unet": {"block_out_channels": [32, 32], "layers_per_block": 1, "attention_head_dim": 1, "norm_num_groups": 4},
    "text": {"width": 16, "layers": 1, "heads": 1, "tokens": 24},
    "sampling": {"num_inference_steps": 4, "guidance_scale": 1.5},
    "stages": [
        {"steps": 30, "batch": 2, "frames": 4, "height": 2, "width": 4, **RATES},
        {"steps": 10, "batch": 2, "frames": 16, "height": 4, "width": 6, **RATES},
    ],
}


class Cut(Exception):
    """Ends a run in its middle."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(Recipe.model_validate(RECIPE), tmp_path_factory.mktemp("run"))


def weights(run: Run) -> list[torch.Tensor]:
    return list(run.average.state_dict().values())


def test_the_log_tells_loss_time_and_machine_and_the_loss_falls(finished: Run) -> None:
    lines = [json.loads(line) for line in (finished.folder / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert lines[0]["machine"]
    assert len(losses) == 8
    assert min(losses[3:]) < losses[0]
    assert all(line["seconds_per_step"] > 0 for line in lines if "loss" in line)


def test_a_run_that_was_cut_resumes_as_if_it_never_had_been(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cinemo_core.training import loop

    take_step = loop.train_step

    def cut_at_25(*arguments: object) -> float:
        if arguments[3] == 25:
            raise Cut
        return take_step(*arguments)  # type: ignore[arg-type]

    recipe = Recipe.model_validate(RECIPE)
    monkeypatch.setattr(loop, "train_step", cut_at_25)
    with pytest.raises(Cut):
        train(recipe, tmp_path)
    monkeypatch.undo()
    resumed = train(recipe, tmp_path)
    starts = [line for line in (tmp_path / "log.jsonl").read_text().splitlines() if "machine" in line]
    assert [json.loads(line)["step"] for line in starts] == [0, 20]
    assert all(torch.equal(one, other) for one, other in zip(weights(resumed), weights(finished), strict=True))


def test_the_checkpoint_of_a_run_animates_a_photo(finished: Run, tmp_path: Path) -> None:
    publish(finished, tmp_path)
    pipe = CinemoPipeline.from_pretrained(tmp_path)
    frames = pipe(Image.new("RGB", (60, 40), "teal"), "pan left")
    assert frames.shape == (16, 32, 48, 3)
    assert pipe.card.name == "toy"
    assert pipe.scheduler.config.prediction_type == "v_prediction"
    assert (tmp_path / "training_log.jsonl").read_text() == (finished.folder / "log.jsonl").read_text()


def test_a_wrong_recipe_is_refused_field_by_field() -> None:
    with pytest.raises(ValidationError) as refused:
        Recipe.model_validate({**RECIPE, "prediction_type": "sample", "colour": 1, "prompt_dropout": 2})
    assert {error["loc"][0] for error in refused.value.errors()} == {"prediction_type", "colour", "prompt_dropout"}


def test_the_built_in_models_recipe_is_valid_and_its_log_tells_the_whole_run() -> None:
    recipe = Recipe.read(BUILT_IN["tiny"] / "recipe.toml")
    lines = [json.loads(line) for line in (BUILT_IN["tiny"] / "training_log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == sum(stage.steps for stage in recipe.stages)
    assert any("machine" in line for line in lines)
