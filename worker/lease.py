"""A job's lease, renewed by a thread of its own for as long as the work lasts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field

import structlog

from service.errors import QueueUnavailable
from service.jobs.model import Job
from service.jobs.states import JobStatus
from service.jobs.store import JobStore
from worker.outcome import Canceled, Overtaken

log = structlog.get_logger()

RENEWALS_A_LEASE = 4


@dataclass
class Lease:
    """What the last renewal said; the work asks between its steps."""

    job: Job
    status: JobStatus | None = JobStatus.RUNNING
    ended: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise `Canceled` where the job was asked to stop, `Overtaken` where it is no longer this attempt's."""
        if self.status is JobStatus.CANCELING:
            raise Canceled
        if self.status is None:
            raise Overtaken


_held: Lease | None = None
"""Of the job that this process runs: one at a time."""


def check_held() -> None:
    """As `Lease.check` of the job that this process runs; nothing where it runs none."""
    if _held is not None:
        _held.check()


@contextmanager
def leased(job: Job, jobs: JobStore, lease_seconds: float) -> Iterator[Lease]:
    """Hold a job that was taken, until the context is left."""
    global _held
    _held = lease = Lease(job)
    # What it logs is of the job, too.
    arguments = (keep, lease, jobs, lease_seconds / RENEWALS_A_LEASE)
    thread = threading.Thread(target=copy_context().run, args=arguments, daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        _held = None
        lease.ended.set()
        thread.join()


def keep(lease: Lease, jobs: JobStore, interval_seconds: float) -> None:
    """Renew until the work has ended or the job is lost; a Redis that does not answer is asked again."""
    while lease.status is not None and not lease.ended.wait(interval_seconds):
        try:
            lease.status = jobs.renew(lease.job)
        except QueueUnavailable as error:
            log.warning("lease not renewed", error=str(error))
