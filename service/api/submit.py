"""Creates and queues jobs, once per idempotency key: a retried request gets the job that it already created."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import structlog
from fastapi import Depends, Header, Query, Response

from cinemo_spec.card import BUILT_IN_CARDS
from service.api.answers import json_response
from service.api.auth import Caller
from service.api.bodies import Body
from service.api.context import Context
from service.api.jobs import Prefer, preferred_wait
from service.api.wait_limiter import LimitedStream
from service.contract.problems import FieldError, QueueUnavailable, UrlForbidden, WaitingLimited
from service.contract.record import Job
from service.contract.requests import JobOptions
from service.contract.schemas.validations import Validation
from service.contract.views import job_url, view_job
from service.observability import tracing
from service.observability.logs import add_log_context, log_context_value
from service.storage.models import PublishedModel
from service.store.idempotency import IdempotencyLock
from service.store.queue import wake_up

log = structlog.get_logger()

POLL_SECONDS = 1
IMPLICIT_KEY_SECONDS = 60
"""How long a request without a key, retried by an SDK, gets the job that it already created."""
IMPLICIT_KEY_PREFIX = "sent "
"""Prefix of the keys generated for such requests; clients' own keys contain no spaces."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r'^"?[!#-~]{1,255}"?$',
        description="A retry with the same key and body returns the same job, for a day or as long as the job's "
        "record is kept.",
    ),
]
"""See draft-ietf-httpapi-idempotency-key-header; the quotes are optional."""

CancelAfter = Annotated[
    str | None,
    Header(
        pattern=r"^[1-9]\d{0,6}[smh]$",
        description="A deadline counted from now, such as `90s`, `5m` or `1h`. A job that has not started by then "
        "expires; a running job is canceled.",
        examples=["90s"],
    ),
]
ValidateOnly = Annotated[
    bool,
    Query(
        description="Check the request and return it with its defaults and the estimated times, status 200, but create "
        "no job: nothing is stored, and an idempotency key is neither looked up nor used. The request counts towards "
        "the rate limit, and the operator's audit log has it if their policy refuses it."
    ),
]
SECONDS = {"s": 1, "m": 60, "h": 3600}

CreateJob = Callable[[], Awaitable[Job]]


@dataclass(frozen=True)
class Submission:
    """A request that creates a job: its options and its content, which identifies retries.

    Attributes:
        idempotency_key: as sent by the client.
        cancel_after_seconds: the job's deadline.
        validate_only: whether to check the request and create nothing.
        wait_seconds: how long the response may wait for the job to end.
        retry_count: how often the client has retried the request; None for clients that don't retry without a key.
        target: what identifies the request beyond its body, such as its path.
        body: None until the body is read.
    """

    idempotency_key: str | None = None
    cancel_after_seconds: int | None = None
    validate_only: bool = False
    wait_seconds: int | None = None
    retry_count: int | None = None
    target: tuple[bytes, ...] = ()
    body: Body | None = None

    def with_body(self, *target: bytes, body: Body) -> "Submission":
        """Return a copy with the content of the request."""
        return replace(self, target=target, body=body)

    @property
    def has_key(self) -> bool:
        """Whether the request has a key, sent or generated."""
        return self.idempotency_key is not None or self.retry_count is not None

    @cached_property
    def lock(self) -> IdempotencyLock | None:
        """The lock on the request's key, if it has one; call this from a worker thread, as large bodies take time."""
        if self.body is None or not self.has_key:
            return None
        digest = fingerprint(*self.target, *self.body.canonical_parts)
        if self.idempotency_key is not None:
            return IdempotencyLock(self.idempotency_key, digest)
        return IdempotencyLock(
            IMPLICIT_KEY_PREFIX + digest, digest, seconds=IMPLICIT_KEY_SECONDS, afresh=self.retry_count == 0
        )


async def read_submission(
    idempotency_key: IdempotencyKey = None,
    cancel_after: CancelAfter = None,
    prefer: Prefer = None,
    validate_only: ValidateOnly = False,
) -> Submission:
    """Parse headers and query; async only so that FastAPI uses no thread for it."""
    key = idempotency_key.strip('"') if idempotency_key else None
    seconds = int(cancel_after[:-1]) * SECONDS[cancel_after[-1]] if cancel_after else None
    return Submission(key, seconds, validate_only, preferred_wait(prefer))


SubmissionOf = Annotated[Submission, Depends(read_submission)]


async def create_once(
    submission: Submission, context: Context, caller: Caller, response: Response, create: CreateJob
) -> Job:
    """Create a job with `create`, or return the one that the same request already created with its key.

    Raises:
        IdempotencyKeyReused: the key belongs to a different request.
        RequestInFlight: the same request is still being processed.
    """
    run = context.pools.calling.run
    existing = await run(caller.tenant, claim_key, submission, context, caller) if submission.has_key else None
    if existing:
        response.headers["Idempotency-Replayed"] = "true"
    try:
        job = existing or await create()
    except Exception:
        if submission.has_key:
            await run(caller.tenant, release_key, submission, context, caller)
        raise
    add_log_context(job=job.id)
    response.headers["Location"] = job_url(job.id, context.settings)
    return job


def claim_key(submission: Submission, context: Context, caller: Caller) -> Job | None:
    """Claim the request's key; returns the job if the request already created one."""
    if not submission.lock:
        return None
    return context.jobs.queries.get(context.jobs.submissions.claim(caller.tenant, submission.lock) or "")


def release_key(submission: Submission, context: Context, caller: Caller) -> None:
    """Free the key of a request that failed."""
    if submission.lock:
        context.jobs.submissions.unclaim(caller.tenant, submission.lock)


async def job_response(job: Job | Validation, submission: Submission, context: Context, response: Response) -> Response:
    """Respond with the job, after waiting for its end if the client prefers that, or with a validation immediately.

    The headers are sent before the wait, so that a client that gives up already has the job's URL.
    """
    if not isinstance(job, Job):
        return json_response(job, 200, response.headers)
    if not job.ended:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    if submission.wait_seconds:
        response.headers["Preference-Applied"] = f"wait={submission.wait_seconds}"
        try:
            if not job.ended:
                return waiting_response(job, submission.wait_seconds, context, response)
        except WaitingLimited as problem:
            # The job is accepted; waiting is only a preference.
            log.info("responding without waiting", job=job.id, error=problem.detail)
            del response.headers["Preference-Applied"]
    return json_response(view_job(job, context), 202, response.headers)


def waiting_response(job: Job, seconds: int, context: Context, response: Response) -> Response:
    """Return a response whose body follows when the job has ended or the time is up; raises `WaitingLimited`."""
    context.wait_limiter.acquire(job.tenant)

    async def body() -> AsyncIterator[bytes]:
        ended = await wait_for_end(job, seconds, context)
        yield view_job(ended, context).model_dump_json(by_alias=True).encode()

    headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return LimitedStream(body(), lambda: context.wait_limiter.release(job.tenant), 202, headers, "application/json")


async def wait_for_end(job: Job, seconds: int, context: Context) -> Job:
    """Wait for the job to end, and return its current record; the given one if Redis doesn't respond."""
    try:
        await context.watch.wait_for_end(job.id, seconds)
        return await context.lookups.job(job.id) or job
    except QueueUnavailable as problem:
        log.warning("responding without waiting", job=job.id, error=problem.detail)
        return job


def fingerprint(*parts: bytes) -> str:
    """Return a SHA-256 over parts that also depends on where each part ends."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def find_published(
    reference: str, context: Context, caller: Caller, field_name: str = "model"
) -> PublishedModel | None:
    """Find a tenant's model; None for the service's own model and the built-in ones.

    Raises:
        ModelUnknown: there is no such model.
    """
    if reference in (context.settings.model, *BUILT_IN_CARDS):
        return None
    return context.models.find(reference, caller.tenant, field_name)


def check_webhook_url(options: JobOptions, context: Context) -> JobOptions:
    """Return the options; raises `UrlForbidden` if webhooks can't be sent to their URL."""
    if options.webhook_url is not None:
        try:
            context.outbound.check(options.webhook_url)
        except UrlForbidden as problem:
            problem.errors = [FieldError("#/webhook_url", problem.detail)]
            raise
    return options


def submit(
    job: Job,
    context: Context,
    submission: Submission,
    earlier: Job | None = None,
    decision: dict[str, Any] | None = None,
) -> Job:
    """Write the job's record and enqueue its ID; returns the job as recorded.

    `earlier` is the job whose input this one shares, `decision` what the operator's policy decided.
    """
    kept = {"request_id": log_context_value("request_id"), "traceparent": tracing.current()}
    job = job.model_copy(update={"cancel_after_seconds": submission.cancel_after_seconds, **kept})
    shares_redis = context.settings.broker == context.settings.redis_url
    message = wake_up(job.id, job.kind) if shares_redis else None
    job = context.jobs.submissions.create(job, submission.lock, earlier, decision, message)
    try:
        if not shares_redis:
            context.queue.enqueue(job.id, job.kind)
    except QueueUnavailable as problem:
        # The job is accepted: the reaper enqueues jobs whose ID is missing from the queue.
        log.warning("job not enqueued", job=job.id, error=problem.detail)
    return job
