"""Which training configurations are valid."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cinemo_spec.training import TrainConfig

MINIMAL: dict[str, Any] = {"name": "cats", "data": {"source": "datasets/cats"}, "steps": 10}


def config(change: dict[str, Any]) -> TrainConfig:
    return TrainConfig.model_validate({**MINIMAL, **change})


def changes(change: dict[str, Any]) -> list[str]:
    """The changes reported for a resumed run, whose state has been through JSON."""
    return config(change).changes_from(json.loads(json.dumps(config({}).numbers())))


def test_the_defaults_are_those_of_the_paper() -> None:
    config = TrainConfig.model_validate(MINIMAL)
    assert (config.data.width, config.data.height, config.data.frames) == (512, 320, 16)
    assert (config.data.min_interval, config.data.max_interval) == (3, 10)
    assert (config.batch_size, config.prompt_dropout) == (80, 0.5)
    assert config.optimizer.weight_decay == 0
    assert config.lora is None


def test_a_yaml_file_equals_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "cats.yaml"
    path.write_text("name: cats\ndata:\n  source: datasets/cats\nsteps: 10\n")
    assert TrainConfig.read(path) == TrainConfig.model_validate(MINIMAL)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "dogs"},
        {"gradient_accumulation_steps": 8},
        {"gradient_checkpointing": True},
        {"log_every_steps": 1},
        {"checkpoint_every_steps": 1},
        {"samples": {"every_steps": 0}},
        {"data": {"source": "datasets/cats", "workers": 0, "max_broken_share": 1, "preflight_videos": 1}},
        {"data": {"source": "elsewhere/cats", "allow_uncaptioned": True}},
        {"steps": 11},
        {"steps": 5},
    ],
)
def test_changes_without_effect_on_the_computation_keep_a_run_the_same(change: dict[str, Any]) -> None:
    assert changes(change) == []


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ({"seed": 1}, "seed: its default then, 1 now"),
        ({"batch_size": 40}, "batch_size: its default then, 40 now"),
        ({"base_model": "waves@0123456789ab"}, "base_model: its default then, waves@0123456789ab now"),
        ({"data": {"source": "datasets/cats", "frames": 8}}, "data.frames: its default then, 8 now"),
        (
            {"data": {"source": "datasets/cats", "cache_latents": True}},
            "data.cache_latents: its default then, True now",
        ),
        ({"optimizer": {"learning_rate": 1e-3}}, "optimizer.learning_rate: its default then, 0.001 now"),
        ({"schedule": {"kind": "cosine"}}, "schedule.kind: its default then, cosine now"),
        ({"objective": {"min_snr_gamma": 5}}, "objective.min_snr_gamma: its default then, 5.0 now"),
        ({"precision": "float32"}, "precision: its default then, float32 now"),
        ({"lora": {}}, "lora: its default then, {} now"),
        ({"lora": {"rank": 4}}, "lora.rank: its default then, 4 now"),
        ({"method": "distill"}, "method: its default then, distill now"),
    ],
)
def test_changes_of_the_computation_make_another_run_and_are_named(change: dict[str, Any], reported: str) -> None:
    assert changes(change) == [reported]


def test_the_checks_of_a_distillation_do_not_affect_the_computation() -> None:
    before = config({"method": "distill"})
    checked = {"force": True, "checked_prompts": 3}
    assert config({"method": "distill", "distillation": checked}).changes_from(before.numbers()) == []
    fewer = config({"method": "distill", "distillation": {**checked, "steps": 5}})
    assert fewer.changes_from(before.numbers()) == ["distillation.steps: its default then, 5 now"]


def test_more_steps_make_another_run_if_the_learning_rate_depends_on_them() -> None:
    cosine = {"schedule": {"kind": "cosine"}}
    before = config(cosine).numbers()
    assert config({**cosine, "steps": 11}).changes_from(before) == ["steps: 10 then, 11 now"]


def test_adding_a_field_in_a_release_keeps_existing_runs_the_same() -> None:
    class LaterConfig(TrainConfig):
        colours: int = 3

    before = config({}).numbers()
    assert LaterConfig.model_validate(MINIMAL).changes_from(before) == []
    assert LaterConfig.model_validate({**MINIMAL, "colours": 1}).changes_from(before)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Cats & Dogs"}, ("name",)),
        ({"name": "../cats"}, ("name",)),
        ({"steps": 0}, ("steps",)),
        ({"colour": "red"}, ("colour",)),
        ({"prompt_dropout": 2}, ("prompt_dropout",)),
        ({"ema_decay": float("nan")}, ("ema_decay",)),
        ({"precision": "int8"}, ("precision",)),
        ({"data": {"source": "x", "width": 100}}, ("data", "width")),
        ({"data": {"source": "x", "min_interval": 5, "max_interval": 4}}, ("data",)),
        ({"batch_size": 10, "gradient_accumulation_steps": 3}, ()),
        ({"schedule": {"warmup_steps": 11}}, ()),
        ({"lora": {}, "train_text_encoder": True}, ()),
        ({"distillation": {"steps": 8}}, ()),
        ({"method": "distill", "train_text_encoder": True}, ()),
        ({"method": "distill", "objective": {"prediction_type": "epsilon"}}, ()),
        ({"method": "distill", "distillation": {"steps": 4, "solver_steps": 10}}, ("distillation",)),
        ({"method": "distil"}, ("method",)),
    ],
)
def test_invalid_configurations_are_rejected_by_field(change: dict[str, Any], field: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        TrainConfig.model_validate({**MINIMAL, **change})
    assert [error["loc"] for error in refused.value.errors()] == [field]
