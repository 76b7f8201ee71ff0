"""Maps exceptions to the errors with which jobs end."""

import torch

from cinemo_core import CinemoError
from service.contract.failures import FAILURES, INTERNAL, OUT_OF_MEMORY, TRAINING_DIED, WORKER_DISK_FULL, WORKER_LOST
from service.contract.problems import Problem
from service.contract.record import JobError
from service.contract.states import JobStatus
from service.storage.base import DISK_FULL
from service.store.transitions import Change


class LeaseLost(Exception):
    """The job no longer belongs to this attempt: stop, and write nothing more."""


class Canceled(Exception):
    """The job has been canceled: end it, without a result."""


class Released(Exception):
    """The worker is shutting down: requeue the job for another worker."""


class JobFailed(Exception):
    """The job ended with an already typed error, for example one reported by another process."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


def require_held(change: Change) -> None:
    """Raise `Canceled` if a change failed because the job is canceling, `LeaseLost` if another attempt holds it."""
    if change.status is JobStatus.CANCELING:
        raise Canceled
    if not change.happened:
        raise LeaseLost


def device_failed(error: BaseException) -> bool:
    """Whether a GPU failed in such a way that this process can no longer use it."""
    return isinstance(error, torch.AcceleratorError) and not isinstance(error, torch.OutOfMemoryError)


def peer_lost(error: BaseException) -> bool:
    """Whether a training process lost its connection to another one; gloo, for CPUs, has no type for this."""
    return isinstance(error, torch.distributed.DistError) or (type(error) is RuntimeError and "/gloo/" in str(error))


def disk_is_full(error: BaseException | None) -> bool:
    """Whether this machine's full disk caused an error, however it was wrapped.

    Causes of a `Problem` don't count: they are failures of the storage or another component.
    """
    while error is not None and not isinstance(error, Problem):
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def job_error(error: Exception) -> JobError:
    """The typed error of a job; undocumented ones become `INTERNAL.ERROR`, with their text only in the logs."""
    if isinstance(error, JobFailed):
        return error.error
    if isinstance(error, torch.OutOfMemoryError):
        return OUT_OF_MEMORY.error("the device ran out of memory")
    if device_failed(error):
        return WORKER_LOST.error("the worker's device failed")
    if disk_is_full(error):
        return WORKER_DISK_FULL.error("the worker's disk is full")
    if peer_lost(error):
        return TRAINING_DIED.error("a training process lost its connection to another")
    if isinstance(error, Problem | CinemoError) and error.code in FAILURES:
        return FAILURES[error.code].error(str(error))
    return INTERNAL.error(f"unexpected {type(error).__name__}")
