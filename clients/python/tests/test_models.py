"""The generated models parse what the service returns, in this version and in newer ones."""

from typing import Any

import pytest
from example_service import EXAMPLES, JOB

from cinemo_client import models


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_each_example_of_the_openapi_document_is_read_completely(name: str, example: dict[str, Any]) -> None:
    read = getattr(models, name).model_validate(example)
    assert not read.model_extra
    assert read.model_dump(mode="json", exclude_unset=True) == example


def test_fields_that_a_newer_service_adds_are_kept() -> None:
    read = models.AnimateJob.model_validate({**JOB, "request": {**JOB["request"], "zoom": 2}})
    assert read.model_dump()["request"]["zoom"] == 2


def test_states_are_equal_to_their_text() -> None:
    assert f"{models.JobStatus.SUCCEEDED} {models.JobStatus.FAILED!s}" == "succeeded failed"
    assert models.AnimateJob.model_validate(JOB).status == JOB["status"]


def test_a_training_request_has_the_defaults_of_its_nested_models() -> None:
    config = models.TrainConfig(name="waves", data=models.DataConfig(source="datasets/waves"), steps=10)
    assert config.optimizer == models.OptimizerConfig()
    assert config.model_dump(exclude_unset=True) == {
        "name": "waves",
        "data": {"source": "datasets/waves"},
        "steps": 10,
    }
