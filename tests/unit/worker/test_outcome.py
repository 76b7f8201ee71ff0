"""Which error a job ends with."""

import pytest
import torch

from cinemo_core import InvalidParameter
from service.errors import ObjectNotFound, StorageUnavailable
from worker.outcome import job_error


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (StorageUnavailable("down"), "STORAGE.UNAVAILABLE", True),
        (ObjectNotFound("gone"), "STORAGE.OBJECT_NOT_FOUND", False),
        (InvalidParameter("steps"), "INPUT.PARAMETER.INVALID", False),
        (torch.OutOfMemoryError(), "MODEL.OUT_OF_MEMORY", True),
        (RuntimeError("secret detail"), "INTERNAL.ERROR", True),
    ],
)
def test_every_error_has_its_code(error: Exception, code: str, retryable: bool) -> None:
    outcome = job_error(error)
    assert (outcome.code, outcome.retryable) == (code, retryable)


def test_what_nobody_foresaw_keeps_its_text_in_the_logs() -> None:
    assert "secret detail" not in job_error(RuntimeError("secret detail")).message
