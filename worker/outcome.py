"""From an exception to the error that a job ends with."""

import torch

from cinemo_core import CinemoError
from service.contract.failures import FAILURES, INTERNAL, OUT_OF_MEMORY, TRAINING_DIED, WORKER_DISK_FULL, WORKER_LOST
from service.contract.problems import Problem
from service.contract.record import JobError
from service.contract.states import JobStatus
from service.storage.base import DISK_FULL
from service.store.transitions import Change


class LeaseLost(Exception):
    """The job is no longer this attempt's: stop, and write nothing more."""


class Canceled(Exception):
    """Somebody asked the job to stop: end it, without a result."""


class Released(Exception):
    """The worker is going away: put the job back, for another one to go on with."""


class JobFailed(Exception):
    """The job ended with an error that is known already, as another process told it."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


def require_held(change: Change) -> None:
    """Raise `Canceled` where a change was refused as the job was asked to stop, `LeaseLost` where it is another's."""
    if change.status is JobStatus.CANCELING:
        raise Canceled
    if not change.happened:
        raise LeaseLost


def device_failed(error: BaseException) -> bool:
    """Whether a GPU failed, in a way after which this process can no longer use it."""
    return isinstance(error, torch.AcceleratorError) and not isinstance(error, torch.OutOfMemoryError)


def peer_lost(error: BaseException) -> bool:
    """Whether a process of a training waited for another that is gone; gloo, for CPUs, has no type for it."""
    return isinstance(error, torch.distributed.DistError) or (type(error) is RuntimeError and "/gloo/" in str(error))


def disk_is_full(error: BaseException | None) -> bool:
    """Whether the end of this machine's disk is behind an error, however it was wrapped.

    Behind a problem it is not: what stands there is how the storage or another part failed.
    """
    while error is not None and not isinstance(error, Problem):
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def job_error(error: Exception) -> JobError:
    """The typed error of a job; what no client was told of is `INTERNAL.ERROR`, whose text stays in the logs."""
    if isinstance(error, JobFailed):
        return error.error
    if isinstance(error, torch.OutOfMemoryError):
        return OUT_OF_MEMORY.error("the device ran out of memory")
    if device_failed(error):
        return WORKER_LOST.error("the worker's device failed")
    if disk_is_full(error):
        return WORKER_DISK_FULL.error("the worker's disk is full")
    if peer_lost(error):
        return TRAINING_DIED.error("a process of the training was lost to the others")
    if isinstance(error, Problem | CinemoError) and error.code in FAILURES:
        return FAILURES[error.code].error(str(error))
    return INTERNAL.error(f"unexpected {type(error).__name__}")
