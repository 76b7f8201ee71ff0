"""Reports to Redis while a job runs, with retries for reports that must not be lost."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from service.contract.problems import QueueUnavailable
from service.contract.record import Job, Progress, Training
from service.storage.base import never_interrupt
from worker.app import settings
from worker.dependencies import job_store
from worker.lease import check_lease
from worker.outcome import require_held

log = structlog.get_logger()

PAUSE_SECONDS = 0.5

T = TypeVar("T")


def report_progress(job: Job, progress: Progress) -> None:
    """Report a job's progress, unless Redis is unavailable.

    Raises:
        Canceled, LeaseLost, Released, JobFailed: the work must stop, see `Lease.check`.
    """
    check_lease()
    try:
        require_held(job_store().attempts.report_progress(job, progress))
    except QueueUnavailable as error:
        log.warning("progress not reported", error=str(error))


def report_training(job: Job, training: Training, kind: str, data: dict[str, Any]) -> None:
    """Report what a training run has stored, with retries; raises like `report_progress`."""
    require_held(retry_redis(lambda: job_store().attempts.report_training(job, training, kind, data), check_lease))


def report_stored(job: Job, items: dict[str, int]) -> None:
    """Report the bytes that the job has stored, by item, with retries."""
    retry_redis(lambda: job_store().stored.note(job, items), check_lease)


def retry_redis(change: Callable[[], T], check: Callable[[], None] = never_interrupt) -> T:
    """Make a change, retrying while Redis is unavailable; safe because the attempt number fences each change.

    Raises:
        QueueUnavailable: Redis was unavailable for longer than `redis_retry_seconds`.
    """
    started = time.monotonic()
    while True:
        try:
            return change()
        except QueueUnavailable as error:
            if time.monotonic() - started > settings.redis_retry_seconds:
                raise
            log.warning("retrying Redis", error=str(error))
        time.sleep(PAUSE_SECONDS)
        check()
