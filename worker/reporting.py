"""What the work tells of itself while it goes on, and what must be told however long Redis is away."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from service.contract.problems import QueueUnavailable
from service.contract.record import Job, Progress, Training
from service.storage.base import never_interrupt
from worker.app import settings
from worker.dependencies import job_store
from worker.lease import check_held
from worker.outcome import require_held

log = structlog.get_logger()

PAUSE_SECONDS = 0.5

Told = TypeVar("Told")


def report_progress(job: Job, progress: Progress) -> None:
    """Tell how far the job is; a Redis that is away hears of the next step.

    Raises:
        Canceled, LeaseLost, Released, JobFailed: the work is to stop, as `Lease.check` says.
    """
    check_held()
    try:
        require_held(job_store().report_progress(job, progress))
    except QueueUnavailable as error:
        log.warning("progress not reported", error=str(error))


def report_training(job: Job, training: Training, kind: str, data: dict[str, Any]) -> None:
    """Tell what a training left in the storage, which nobody tells again; raises as `report_progress`."""
    require_held(persistently(lambda: job_store().report_training(job, training, kind, data), check_held))


def report_stored(job: Job, items: dict[str, int]) -> None:
    """Have bytes that the job has stored count, by their item in the tenant's usage."""
    persistently(lambda: job_store().note_stored(job, items), check_held)


def persistently(change: Callable[[], Told], check: Callable[[], None] = never_interrupt) -> Told:
    """Make a change that Redis has to hear of, again and again while it does not answer; that the record tells attempts
    apart makes this safe.

    Raises:
        QueueUnavailable: it was away for longer than `redis_retry_seconds`.
    """
    began = time.monotonic()
    while True:
        try:
            return change()
        except QueueUnavailable as error:
            if time.monotonic() - began > settings.redis_retry_seconds:
                raise
            log.warning("Redis asked again", error=str(error))
        time.sleep(PAUSE_SECONDS)
        check()
