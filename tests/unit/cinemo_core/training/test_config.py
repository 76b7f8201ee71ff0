"""What a training configuration may say."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cinemo_core.training.config import TrainConfig

LEAST: dict[str, Any] = {"name": "cats", "data": {"source": "datasets/cats"}, "steps": 10}


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
    assert TrainConfig.read(path).digest() == TrainConfig.model_validate(LEAST).digest()
    assert TrainConfig.model_validate({**LEAST, "seed": 1}).digest() != TrainConfig.model_validate(LEAST).digest()


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
        ({"lora": {}, "train_text_encoder": True}, ()),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(change: dict[str, Any], field: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        TrainConfig.model_validate({**LEAST, **change})
    assert [error["loc"] for error in refused.value.errors()] == [field]
