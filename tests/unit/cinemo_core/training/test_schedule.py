"""How the learning rate rises and falls."""

from typing import Any

import pytest

from cinemo_core.training.schedule import learning_rate
from cinemo_spec.training import TrainConfig


def rates(**schedule: Any) -> list[float]:
    """The learning rates of a run of ten steps whose peak is 1."""
    fields = {"name": "cats", "data": {"source": "cats"}, "steps": 10, "optimizer": {"learning_rate": 1}}
    config = TrainConfig.model_validate({**fields, "schedule": schedule})
    return [learning_rate(config, step) for step in range(config.steps)]


def test_the_learning_rate_rises_to_its_peak_and_stays() -> None:
    assert rates(warmup_steps=4) == [0.25, 0.5, 0.75, *[1.0] * 7]
    assert rates() == [1.0] * 10


def test_the_cosine_begins_at_the_peak_after_the_warm_up() -> None:
    found = rates(kind="cosine", warmup_steps=4, last_share=0.1)
    assert found[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert found[5:] == sorted(found[5:], reverse=True)
    assert found[7] == pytest.approx(0.55), "half of the cosine's way"
    assert 0.1 < found[-1] < 0.2


def test_a_run_can_be_all_warm_up() -> None:
    assert rates(kind="cosine", warmup_steps=10)[-1] == 1.0
