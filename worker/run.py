"""Runs a job of any kind: dequeue it, hold its lease, record its outcome."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from service.contract.failures import FAILURES, TRAINING_DIED
from service.contract.problems import QueueUnavailable
from service.contract.record import Job, JobKind, JobMetrics, JobOutput, ModelOutput
from service.observability.logs import log_context
from service.observability.tracing import Span, span, trace_id
from service.store.queries import RecordUnreadable
from worker import cleanup
from worker.app import settings
from worker.counting import count_start_delay
from worker.dependencies import cleanup_store, heartbeat, job_queue, job_store
from worker.disk_space import wait_for_disk_space
from worker.heartbeat import WORKER
from worker.job_threads import job_threads
from worker.lease import Lease, Limits, hold_lease, log_facts
from worker.lifecycle import after_job, off_device, replace_process
from worker.outcome import Canceled, LeaseLost, Released, job_error
from worker.reporting import retry_redis
from worker.shutdown import shutdown
from worker.watchdog import watch

log = structlog.get_logger()


@dataclass(frozen=True)
class JobResult:
    """A job's result; `digest` identifies everything that determines it, if identical jobs may reuse it."""

    output: JobOutput | ModelOutput
    model_ms: int | None = None
    digest: str | None = None
    reused_from: str | None = None


Work = Callable[[Job, Lease], JobResult]


def run_next(kind: JobKind, work: Work) -> None:
    """Run the next job until it has ended or left the device; if there is none, the message is stale."""
    with left_to_reaper():
        wait_for_disk_space()
        job = None if shutdown.requested else job_store().attempts.dequeue(kind, WORKER, devices_of(kind))
        if job is None:
            log.info("stale message dropped", kind=kind)
            return
        job_threads.run(partial(run_to_end, job, work))


@contextmanager
def left_to_reaper() -> Iterator[None]:
    """Log errors after which the reaper takes care of the job."""
    try:
        yield
    except QueueUnavailable as error:
        # The reaper repeats the messages of waiting jobs, and requeues this one when its lease lapses.
        log.warning("Redis is unavailable", error=error.detail)
    except RecordUnreadable as error:
        # Its lease lapses, and a worker of the version that wrote it gets the job.
        log.error("job left to another version", error=str(error))


def run_to_end(job: Job, work: Work) -> None:
    """Run a dequeued job, then wake a worker for the next one that could not start beside it."""
    with left_to_reaper():
        run(job, work)
        if job_store().queries.waits(job.kind, job.tenant):
            # A job may have waited for this one to end, after its message was dropped.
            job_queue().enqueue(job.id, job.kind)


def devices_of(kind: JobKind) -> int:
    """How many devices an attempt at a job of this kind holds."""
    return settings.training_processes if kind == "train" else 1


def run(job: Job, work: Work) -> None:
    """Run a dequeued job, holding its lease, and clean up after it."""
    facts = log_facts(job)
    with (
        log_context(kind=job.kind, trace_id=trace_id(job.traceparent), **facts),
        heartbeat().busy(job.id),
        span(f"{job.kind} attempt", job.traceparent, "consumer", kind=job.kind, **facts) as attempt_span,
    ):
        log.info("job started")
        count_start_delay(job)
        try:
            with (
                hold_lease(job, job_store(), settings.lease_seconds, limits(job.kind)) as lease,
                watch(lease, job_store(), settings.stuck_seconds),
            ):
                attempt(job, lease, work, attempt_span)
        finally:
            cleanup.clear(job, job_store(), cleanup_store())
            after_job()


def attempt(job: Job, lease: Lease, work: Work, attempt_span: Span) -> None:
    """Do a job's work and record its outcome."""
    jobs = job_store()
    try:
        if job.losses:
            # Beside one that ends the process each time, another job would be lost as often.
            job_threads.run_alone(partial(off_device, job))
        result = work(job, lease)
        metrics, occupied_ms = measure(job, lease, result.model_ms), round(job_threads.occupied_seconds() * 1000)
        change = retry_redis(
            lambda: jobs.attempts.succeed(job, result.output, metrics, result.digest, result.reused_from, occupied_ms)
        )
        log.info("job ended" if change.happened else "lease lost", status=change.status, **metrics.model_dump())
        attempt_span.set_attributes(status=change.status)
    except LeaseLost:
        log.info("lease lost")
        attempt_span.set_attributes(status="lease_lost")
    except (Canceled, Released, QueueUnavailable) as reason:
        change = retry_redis(lambda: jobs.attempts.release(job))
        log.info("job released", reason=type(reason).__name__, status=change.status)
        attempt_span.set_attributes(status=change.status)
    except Exception as error:
        # An error ends only its job; the worker continues with the next.
        handle_failure(job, error, measure(job, lease), attempt_span)


def handle_failure(job: Job, error: Exception, metrics: JobMetrics, attempt_span: Span) -> None:
    """Record a failure, or a loss if the job itself is not to blame, so that another worker runs it."""
    jobs, outcome = job_store(), job_error(error)
    attempt_span.fail(outcome.code)
    if FAILURES[outcome.code].lost:
        log.exception("job lost", code=outcome.code)
        # A training process is not this one.
        if outcome.code != TRAINING_DIED.code:
            replace_process(outcome.message)
        retry_redis(lambda: jobs.attempts.lose(job, outcome))
        return
    log.exception("job failed", code=outcome.code)
    retry_redis(lambda: jobs.attempts.fail(job, outcome, metrics))


def limits(kind: JobKind) -> Limits:
    """The time limits of an attempt at a job of this kind."""
    if kind == "train":
        return Limits(settings.training_timeout_seconds, settings.training_grace_seconds)
    return Limits(settings.job_timeout_seconds, settings.shutdown_grace_seconds)


def measure(job: Job, lease: Lease, model_ms: int | None = None) -> JobMetrics:
    # The times are from two machines' clocks, so their difference may be negative.
    waited = max(0.0, (job.started_at - job.created_at).total_seconds()) if job.started_at else None
    queue_ms = round(waited * 1000) if waited is not None else None
    return JobMetrics(queue_ms=queue_ms, execution_ms=milliseconds_since(lease.started), gpu_ms=model_ms)


def milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
