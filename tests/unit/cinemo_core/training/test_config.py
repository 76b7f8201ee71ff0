"""What a training configuration may say."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cinemo_core.training.config import TrainConfig

LEAST: dict[str, Any] = {"name": "cats", "data": {"source": "datasets/cats"}, "steps": 10}


def digest(change: dict[str, Any]) -> str:
    return TrainConfig.model_validate({**LEAST, **change}).digest()


def test_the_defaults_are_the_papers() -> None:
    config = TrainConfig.model_validate(LEAST)
    assert (config.data.width, config.data.height, config.data.frames) == (512, 320, 16)
    assert (config.data.min_interval, config.data.max_interval) == (3, 10)
    assert (config.batch_size, config.prompt_dropout) == (80, 0.5)
    assert config.optimizer.weight_decay == 0
    assert config.lora is None


def test_a_yaml_file_says_the_same_as_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "cats.yaml"
    path.write_text("name: cats\ndata:\n  source: datasets/cats\nsteps: 10\n")
    assert TrainConfig.read(path) == TrainConfig.model_validate(LEAST)


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
    ],
)
def test_what_changes_no_number_is_the_same_run(change: dict[str, Any]) -> None:
    assert digest(change) == digest({})


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"steps": 11},
        {"batch_size": 40},
        {"base_model": "waves@0123456789ab"},
        {"data": {"source": "datasets/dogs"}},
        {"data": {"source": "datasets/cats", "frames": 8}},
        {"data": {"source": "datasets/cats", "cache_latents": True}},
        {"optimizer": {"learning_rate": 1e-3}},
        {"schedule": {"kind": "cosine"}},
        {"objective": {"min_snr_gamma": 5}},
        {"precision": "float32"},
        {"lora": {}},
    ],
)
def test_what_changes_numbers_is_another_run(change: dict[str, Any]) -> None:
    assert digest(change) != digest({})


def test_a_release_that_adds_a_field_leaves_a_run_what_it_was() -> None:
    class LaterConfig(TrainConfig):
        colours: int = 3

    assert LaterConfig.model_validate(LEAST).digest() == digest({})
    assert LaterConfig.model_validate({**LEAST, "colours": 1}).digest() != digest({})


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
    ],
)
def test_what_cannot_be_is_refused_by_its_name(change: dict[str, Any], field: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        TrainConfig.model_validate({**LEAST, **change})
    assert [error["loc"] for error in refused.value.errors()] == [field]
