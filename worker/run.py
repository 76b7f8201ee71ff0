"""What every kind of job shares in a worker: take it, hold its lease, end it as it ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from service.contract.failures import FAILURES, TRAINING_DIED
from service.contract.problems import QueueUnavailable
from service.contract.record import Job, JobKind, JobMetrics, JobOutput, ModelOutput
from service.observability.logs import log_context
from service.observability.tracing import Span, span, trace_id
from service.store.queries import RecordUnreadable
from worker import cleanup
from worker.app import settings
from worker.counting import count_begun
from worker.dependencies import heartbeat, job_queue, job_store, tidying_store
from worker.heartbeat import WORKER
from worker.lease import Lease, Limits, leased
from worker.lifecycle import between_jobs, replace_process
from worker.outcome import Canceled, LeaseLost, Released, job_error
from worker.reporting import persistently
from worker.room import wait_for_room
from worker.shutdown import shutdown
from worker.watchdog import watched

log = structlog.get_logger()


@dataclass(frozen=True)
class JobResult:
    """What came of a job: `digest` is of all that it follows from, where an equal job may be given it again."""

    output: JobOutput | ModelOutput
    model_ms: int | None = None
    digest: str | None = None
    reused_from: str | None = None


Work = Callable[[Job, Lease], JobResult]


def run_next(kind: JobKind, work: Work) -> None:
    """Run the job that is next to its end. A message that comes when there is none is stale, and dropped."""
    try:
        wait_for_room()
        job = None if shutdown.asked else job_store().dequeue(kind, WORKER)
        if job is None:
            log.info("stale message dropped", kind=kind)
            return
        run(job, work)
        if job_store().waits(kind, job.tenant):
            # It may have waited for this one to end, with its message long gone.
            job_queue().enqueue(job.id, kind)
    except QueueUnavailable as error:
        # What waits is told of again, and what was held lapses.
        log.warning("Redis is away", error=error.detail)
    except RecordUnreadable as error:
        # It lapses, and goes to a worker of the version that wrote it.
        log.error("job left to another version", error=str(error))


def run(job: Job, work: Work) -> None:
    """Do a job that was taken, hold it meanwhile, and clean up after it."""
    facts = {"job": job.id, "attempt": job.attempt, "tenant": job.tenant, "request_id": job.request_id}
    with (
        log_context(kind=job.kind, trace_id=trace_id(job.traceparent), **facts),
        heartbeat().busy(job.id),
        span(f"{job.kind} attempt", job.traceparent, "consumer", kind=job.kind, **facts) as seen,
    ):
        log.info("job begun")
        count_begun(job)
        try:
            with (
                leased(job, job_store(), settings.lease_seconds, limits(job.kind)) as lease,
                watched(lease, job_store(), settings.stuck_seconds),
            ):
                attempt(job, lease, work, seen)
        finally:
            cleanup.clear(job, job_store(), tidying_store())
            between_jobs()


def attempt(job: Job, lease: Lease, work: Work, seen: Span) -> None:
    """Do a job that is held, and tell how it ended."""
    jobs, started = job_store(), time.monotonic()
    try:
        made = work(job, lease)
        metrics = measure(job, started, made.model_ms)
        ended = persistently(lambda: jobs.succeed(job, made.output, metrics, made.digest, made.reused_from))
        log.info("job ended" if ended.happened else "job overtaken", status=ended.status, **metrics.model_dump())
        seen.set_attributes(status=ended.status)
    except LeaseLost:
        log.info("job overtaken")
        seen.set_attributes(status="overtaken")
    except (Canceled, Released, QueueUnavailable) as reason:
        ended = persistently(lambda: jobs.release(job))
        log.info("job released", reason=type(reason).__name__, status=ended.status)
        seen.set_attributes(status=ended.status)
    except Exception as error:
        # Whatever a job does wrong ends that job alone; the worker goes on to the next.
        end_badly(job, error, measure(job, started), seen)


def end_badly(job: Job, error: Exception, metrics: JobMetrics, seen: Span) -> None:
    """End a job as failed, or give it up to whichever worker is next where it is not to blame itself."""
    jobs, outcome = job_store(), job_error(error)
    seen.fail(outcome.code)
    if FAILURES[outcome.code].lost:
        log.exception("job given up", code=outcome.code)
        # That process was another one.
        if outcome.code != TRAINING_DIED.code:
            replace_process(outcome.message)
        persistently(lambda: jobs.lose(job, outcome))
        return
    log.exception("job failed", code=outcome.code)
    persistently(lambda: jobs.fail(job, outcome, metrics))


def limits(kind: JobKind) -> Limits:
    """How long an attempt at a job of a kind may take."""
    if kind == "train":
        return Limits(settings.training_timeout_seconds, settings.training_grace_seconds)
    return Limits(settings.job_timeout_seconds, settings.shutdown_grace_seconds)


def measure(job: Job, started: float, model_ms: int | None = None) -> JobMetrics:
    # Of two machines' clocks, whose difference may be below nothing.
    waited = max(0.0, (job.started_at - job.created_at).total_seconds()) if job.started_at else None
    queue_ms = round(waited * 1000) if waited is not None else None
    return JobMetrics(queue_ms=queue_ms, execution_ms=milliseconds_since(started), gpu_ms=model_ms)


def milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
