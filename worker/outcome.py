"""From an exception to the error that a job ends with."""

import time
from collections.abc import Callable

import structlog
import torch

from cinemo_core import CinemoError
from service.errors import Problem, QueueUnavailable
from service.jobs.changing import Change
from service.jobs.model import JobError
from service.jobs.states import JobStatus

log = structlog.get_logger()

INSIST_SECONDS = 600
INSIST_PAUSE_SECONDS = 0.5


class Overtaken(Exception):
    """The job is no longer this attempt's: stop, and write nothing more."""


class Canceled(Exception):
    """Somebody asked the job to stop: end it, without a result."""


class HandedBack(Exception):
    """The worker is going away: put the job back, for another one to go on with."""


class JobFailed(Exception):
    """The job ended with an error that is known already, as another process told it."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


def insist(change: Callable[[], Change]) -> Change:
    """Ask for a change until Redis answers, or for `INSIST_SECONDS`: a restart is not to cost what was worked for.

    It does no harm however late it comes: a job that has gone to another attempt meanwhile refuses it.
    """
    deadline = time.monotonic() + INSIST_SECONDS
    while True:
        try:
            return change()
        except QueueUnavailable as error:
            if time.monotonic() > deadline:
                raise
            log.warning("asked again", error=error.detail)
            time.sleep(INSIST_PAUSE_SECONDS)


def require_held(change: Change) -> None:
    """Raise `Canceled` where a change was refused as the job was asked to stop, `Overtaken` where it is another's."""
    if change.status is JobStatus.CANCELING:
        raise Canceled
    if not change.happened:
        raise Overtaken


def job_error(error: Exception) -> JobError:
    """The typed error of a job; what nobody foresaw is `INTERNAL.ERROR`, whose text stays in the logs."""
    if isinstance(error, JobFailed):
        return error.error
    if isinstance(error, Problem):
        return JobError(code=error.code, message=error.detail, retryable=error.retryable)
    if isinstance(error, torch.OutOfMemoryError):
        return JobError(code="MODEL.OUT_OF_MEMORY", message="the device ran out of memory", retryable=True)
    if isinstance(error, CinemoError):
        return JobError(code=error.code, message=str(error), retryable=False)
    return JobError(code="INTERNAL.ERROR", message=f"unexpected {type(error).__name__}", retryable=True)
