"""Counts how long jobs wait to start and how long they use the device."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.contract.record import Job, JobKind
from service.store.counters import GPU_SECONDS, START_DELAY
from worker.dependencies import counters


@contextmanager
def count_device_time(kind: JobKind, devices: int = 1) -> Iterator[None]:
    """Count the time within as device time, even if the work fails."""
    started = time.monotonic()
    try:
        yield
    finally:
        counters().count(GPU_SECONDS.plus(kind, amount=devices * (time.monotonic() - started)))


def count_start_delay(job: Job) -> None:
    """Count how long a job waited for its first attempt."""
    if job.attempt == 1 and job.started_at:
        counters().count(START_DELAY.observed(job.kind, seconds=(job.started_at - job.created_at).total_seconds()))
