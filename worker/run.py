"""What every kind of job shares in a worker: take it, hold its lease, end it as it ended."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from service.jobs.model import Job, JobKind, JobMetrics, JobOutput, ModelOutput
from service.logs import log_context
from service.tracing import Span, span, trace_id
from worker import leftovers
from worker.app import settings
from worker.lease import Lease, leased
from worker.outcome import Canceled, HandedBack, Overtaken, insist, job_error
from worker.parts import job_queue, job_store, tidying_store

log = structlog.get_logger()
WORKER = f"{socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True)
class Made:
    """What came of a job: `digest` is of all that it follows from, where an equal job may be given it again."""

    output: JobOutput | ModelOutput
    model_ms: int | None = None
    digest: str | None = None
    reused_from: str | None = None


Work = Callable[[Job, Lease], Made]


def run_next(kind: JobKind, work: Work) -> None:
    """Run the job that is next to its end. A message that comes when there is none is stale, and dropped."""
    jobs = job_store()
    job = jobs.take(kind, WORKER)
    if job is None:
        log.info("stale message dropped", kind=kind)
        return
    facts = {"job": job.id, "attempt": job.attempt, "tenant": job.tenant, "request_id": job.request_id}
    with (
        log_context(kind=kind, trace_id=trace_id(job.traceparent), **facts),
        span(f"{kind} attempt", job.traceparent, "consumer", kind=kind, **facts) as attempt,
    ):
        log.info("job begun")
        run(job, work, attempt)
    if jobs.waits(kind, job.tenant):
        # It may have waited for this one to end, with its message long gone.
        job_queue().enqueue(job.id, kind)


def run(job: Job, work: Work, attempt: Span) -> None:
    """Do a job that was taken, and end it as the work ends."""
    jobs, started = job_store(), time.monotonic()
    try:
        with leased(job, jobs, settings.lease_seconds) as lease:
            made = work(job, lease)
        metrics = measure(job, started, made.model_ms)
        ended = insist(lambda: jobs.succeed(job, made.output, metrics, made.digest, made.reused_from))
        log.info("job ended" if ended.happened else "job overtaken", status=ended.status, **metrics.model_dump())
        attempt.note(status=ended.status)
    except Overtaken:
        log.info("job overtaken")
        attempt.note(status="overtaken")
    except (Canceled, HandedBack) as reason:
        ended = insist(lambda: jobs.release(job))
        log.info("job released", reason=type(reason).__name__, status=ended.status)
        attempt.note(status=ended.status)
    except Exception as error:
        # Whatever a job does wrong ends that job alone; the worker goes on to the next.
        outcome = job_error(error)
        log.exception("job failed", code=outcome.code)
        attempt.fail(outcome.code)
        insist(lambda: jobs.fail(job, outcome, measure(job, started)))
    finally:
        leftovers.clear(job, jobs, tidying_store())


def measure(job: Job, started: float, model_ms: int | None = None) -> JobMetrics:
    queue_ms = round((job.started_at - job.created_at).total_seconds() * 1000) if job.started_at else None
    return JobMetrics(queue_ms=queue_ms, execution_ms=milliseconds_since(started), gpu_ms=model_ms)


def milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
