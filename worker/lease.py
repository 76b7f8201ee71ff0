"""A job's lease, renewed by a thread of its own for as long as the work lasts, and what else ends the work early.

The thread needs the interpreter's lock now and then: a C call that keeps it for less than three quarters of the lease
delays a renewal, one that keeps it longer loses the job.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field

import structlog

from service.contract.failures import WORKER_TIMEOUT
from service.contract.record import Job, JobError
from service.contract.states import JobStatus
from service.store.jobs import JobStore
from worker.outcome import Canceled, JobFailed, LeaseLost, Released
from worker.shutdown import Shutdown, shutdown

log = structlog.get_logger()

RENEWALS_A_LEASE = 4
FOREVER = float("inf")


@dataclass(frozen=True)
class Limits:
    """Of one attempt, in seconds: how long it may take, and how long it may go on once its worker was told to go."""

    timeout_seconds: float = FOREVER
    grace_seconds: float = FOREVER


@dataclass
class Lease:
    """What the last renewal said, and how much time is left; the work asks between its steps."""

    job: Job
    limits: Limits = Limits()
    shutdown: Shutdown = field(default_factory=lambda: shutdown)
    status: JobStatus | None = JobStatus.RUNNING
    began: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Return where the work is to go on.

        Raises:
            Canceled: the job was asked to stop.
            LeaseLost: the job is no longer this attempt's.
            Released: the worker was told to go, and the job took longer than it may then.
            JobFailed: the job took longer than it may.
        """
        if self.status is JobStatus.CANCELING:
            raise Canceled
        if self.status is None:
            raise LeaseLost
        if self.seconds_over_grace > 0:
            raise Released
        if self.seconds_over_time > 0:
            raise JobFailed(self.timed_out)

    @property
    def seconds_over_grace(self) -> float:
        """How long ago the job should have ended for its worker's sake; below 0 where it need not have."""
        return self.shutdown.seconds_since() - self.limits.grace_seconds

    @property
    def seconds_over_time(self) -> float:
        """How long ago the job should have ended; below 0 where it need not have."""
        return time.monotonic() - self.began - self.limits.timeout_seconds

    @property
    def timed_out(self) -> JobError:
        message = f"the job took longer than the {self.limits.timeout_seconds:g} seconds that an attempt may take"
        return WORKER_TIMEOUT.error(message)


_held: Lease | None = None
"""Of the job that this process runs: one at a time."""


def check_held() -> None:
    """As `Lease.check` of the job that this process runs; nothing where it runs none."""
    if _held is not None:
        _held.check()


@contextmanager
def leased(job: Job, jobs: JobStore, lease_seconds: float, limits: Limits = Limits()) -> Iterator[Lease]:
    """Hold a job that was taken, until the context is left."""
    global _held
    _held = lease = Lease(job, limits)
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
    """Renew until the work has ended or the job is lost; whatever goes wrong, it is tried again."""
    while lease.status is not None and not lease.ended.wait(interval_seconds):
        try:
            lease.status = jobs.renew(lease.job)
        except Exception as error:
            log.warning("lease not renewed", error=repr(error))
