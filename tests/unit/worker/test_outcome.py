"""The error with which a job ends."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from cinemo_core import CinemoError, InvalidParameter
from cinemo_core.training import errors as training_errors
from cinemo_core.training.errors import TrainingInterrupted
from cinemo_spec import errors
from service.contract.failures import FAILURES
from service.contract.problems import ModelUnknown, ObjectNotFound, StorageUnavailable
from worker.outcome import job_error

FULL = OSError(errno.ENOSPC, "No space left on device")


def caused_by(error: Exception, cause: Exception) -> Exception:
    """The error as if raised from the cause."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (StorageUnavailable("down"), "STORAGE.UNAVAILABLE", True),
        (ObjectNotFound("gone"), "STORAGE.OBJECT_NOT_FOUND", False),
        (ModelUnknown("gone"), "INPUT.MODEL.UNKNOWN", False),
        (InvalidParameter("steps"), "INPUT.PARAMETER.INVALID", False),
        (torch.OutOfMemoryError(), "MODEL.OUT_OF_MEMORY", False),
        (torch.AcceleratorError("an illegal memory access"), "WORKER.LOST", True),
        (caused_by(StorageUnavailable("cannot write"), FULL), "STORAGE.UNAVAILABLE", True),
        (caused_by(RuntimeError("cannot save"), FULL), "WORKER.DISK_FULL", True),
        (caused_by(RuntimeError(), caused_by(StorageUnavailable("cannot write"), FULL)), "INTERNAL.ERROR", True),
        (RuntimeError("secret detail"), "INTERNAL.ERROR", True),
    ],
)
def test_every_error_has_its_code(error: Exception, code: str, retryable: bool) -> None:
    outcome = job_error(error)
    assert (outcome.code, outcome.retryable) == (code, retryable)


JOINS_AND_DIES = """
import os, sys
import torch.distributed as dist

dist.init_process_group("gloo", init_method=sys.argv[1], rank=1, world_size=2)
os._exit(1)
"""


def test_a_training_process_that_lost_its_peer_reports_just_that(tmp_path: Path) -> None:
    meeting = (tmp_path / "meeting").as_uri()
    with subprocess.Popen([sys.executable, "-c", JOINS_AND_DIES, meeting]):
        dist.init_process_group("gloo", init_method=meeting, rank=0, world_size=2)
        try:
            with pytest.raises(RuntimeError) as caught:
                dist.all_reduce(torch.zeros(1))
        finally:
            dist.destroy_process_group()
    assert job_error(caught.value).code == "TRAINING.PROCESS_DIED"


def is_error(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, CinemoError)


def test_each_error_of_the_model_library_reaches_clients() -> None:
    codes = {error.code for module in (errors, training_errors) for error in vars(module).values() if is_error(error)}
    # An interrupted run goes on; the base is never raised itself.
    assert codes - FAILURES.keys() == {TrainingInterrupted.code, CinemoError.code}


def test_the_text_of_an_unexpected_error_is_only_logged() -> None:
    assert "secret detail" not in job_error(RuntimeError("secret detail")).message
