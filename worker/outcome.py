"""From an exception to the error that a job ends with."""

import torch

from cinemo_core import CinemoError
from service.errors import Problem
from service.jobs.model import JobError


class Overtaken(Exception):
    """The job is no longer this attempt's: stop, and write nothing more."""


def job_error(error: Exception) -> JobError:
    """The typed error of a job; what nobody foresaw is `INTERNAL.ERROR`, whose text stays in the logs."""
    if isinstance(error, Problem):
        return JobError(code=error.code, message=error.detail, retryable=error.retryable)
    if isinstance(error, torch.OutOfMemoryError):
        return JobError(code="MODEL.OUT_OF_MEMORY", message="the device ran out of memory", retryable=True)
    if isinstance(error, CinemoError):
        return JobError(code=error.code, message=str(error), retryable=False)
    return JobError(code="INTERNAL.ERROR", message=f"unexpected {type(error).__name__}", retryable=True)
