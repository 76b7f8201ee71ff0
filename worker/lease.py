"""A job's lease, renewed by a thread while the work lasts, and other reasons for the work to stop early.

The thread needs the interpreter's lock: a C call that holds it for less than three quarters of the lease delays a
renewal, one that holds it longer loses the job.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from math import inf
from typing import Any

import structlog

from service.contract.failures import WORKER_TIMEOUT
from service.contract.record import Job, JobError
from service.contract.states import JobStatus
from service.store.worker_jobs import WorkerJobs
from worker.outcome import Canceled, JobFailed, LeaseLost, Released
from worker.shutdown import Shutdown, shutdown

log = structlog.get_logger()

RENEWALS_PER_LEASE = 4


@dataclass(frozen=True)
class Limits:
    """Limits of an attempt, in seconds: its duration, and how long it may continue after a shutdown request."""

    timeout_seconds: float = inf
    grace_seconds: float = inf


@dataclass(eq=False)
class Lease:
    """The job's state at the last renewal, and the remaining time; the work calls `check` between its steps."""

    job: Job
    limits: Limits = Limits()
    shutdown: Shutdown = field(default_factory=lambda: shutdown)
    status: JobStatus | None = JobStatus.RUNNING
    started: float = field(default_factory=time.monotonic)
    waiting_since: float | None = None
    """When the job began to wait for another of this process; None if it isn't waiting."""
    ended: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Return if the work should continue.

        Raises:
            Canceled: the job has been canceled.
            LeaseLost: the job no longer belongs to this attempt.
            Released: the worker should stop, and the grace period is over.
            JobFailed: the job has exceeded its time limit.
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
        """Seconds since the end of the grace period; negative before it, or if the worker need not stop."""
        return self.shutdown.seconds_since() - self.limits.grace_seconds

    @property
    def deadline(self) -> float:
        """The monotonic time at which the job exceeds its time limit, to which waiting for another doesn't count."""
        now = time.monotonic()
        # Read first: a thread that reads both while the waiting ends must at worst see too much time.
        waited = now - (self.waiting_since or now)
        return self.started + self.limits.timeout_seconds + waited

    @property
    def seconds_over_time(self) -> float:
        """Seconds beyond the job's time limit; negative within it."""
        return time.monotonic() - self.deadline

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Don't count the time within toward the job's limit."""
        self.waiting_since = time.monotonic()
        try:
            yield
        finally:
            self.started += time.monotonic() - self.waiting_since
            self.waiting_since = None

    @property
    def timed_out(self) -> JobError:
        message = f"the job exceeded the limit of {self.limits.timeout_seconds:g} seconds per attempt"
        return WORKER_TIMEOUT.error(message)


_current: ContextVar[Lease | None] = ContextVar("lease", default=None)
"""The lease of this thread's job."""

_held: set[Lease] = set()


def check_lease() -> None:
    """Call `Lease.check` for this thread's job, if any."""
    if lease := _current.get():
        lease.check()


def waiting() -> AbstractContextManager[None]:
    """Call `Lease.waiting` for this thread's job, if any."""
    lease = _current.get()
    return lease.waiting() if lease else nullcontext()


def log_facts(job: Job) -> dict[str, Any]:
    """What each log line about an attempt says of it."""
    return {"job": job.id, "attempt": job.attempt, "tenant": job.tenant, "request_id": job.request_id}


def held_leases() -> tuple[Lease, ...]:
    """The leases of all jobs of this process."""
    return tuple(_held)


@contextmanager
def hold_lease(job: Job, jobs: WorkerJobs, lease_seconds: float, limits: Limits = Limits()) -> Iterator[Lease]:
    """Renew a dequeued job's lease until the context exits."""
    lease = Lease(job, limits)
    token = _current.set(lease)
    _held.add(lease)
    # With the log context of the job.
    arguments = (renew_until_ended, lease, jobs, lease_seconds / RENEWALS_PER_LEASE)
    thread = threading.Thread(target=copy_context().run, args=arguments, daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        _held.discard(lease)
        _current.reset(token)
        lease.ended.set()
        thread.join()


def renew_until_ended(lease: Lease, jobs: WorkerJobs, interval_seconds: float) -> None:
    """Renew until the work has ended or the job is lost, retrying after any error."""
    while lease.status is not None and not lease.ended.wait(interval_seconds):
        try:
            lease.status = jobs.attempts.renew(lease.job)
        except Exception as error:
            log.warning("lease not renewed", error=repr(error))
