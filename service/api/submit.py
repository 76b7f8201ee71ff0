"""What all jobs share on their way in: the model they name, the key that makes a retry safe, record and hint."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import structlog
from fastapi import Depends, Header, Response
from fastapi.concurrency import run_in_threadpool

from service.api.auth import Caller
from service.api.bodies import Body
from service.api.context import Context
from service.api.jobs import Prefer, preferred_wait
from service.api.wait_limiter import LimitedStream
from service.contract.problems import FieldError, QueueUnavailable, UrlForbidden, WaitingLimited
from service.contract.record import Job
from service.contract.requests import JobOptions
from service.contract.schemas import jobs as schemas
from service.contract.views import place_of, view_job
from service.observability import tracing
from service.observability.logs import add_log_context, log_context_value
from service.storage.models import PublishedModel
from service.store.idempotency import IdempotencyLock

log = structlog.get_logger()

POLL_SECONDS = 1
RESENT_SECONDS = 60
"""For which a request without a key, sent again, gets the job that it has made."""
UNNAMED = "sent "
"""Before what stands for the key of such a request; no client's key has a space."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r'^"?[!#-~]{1,255}"?$',
        description="A retry with the same key and body returns the same job, for a day or as long as the job's "
        "record is kept.",
    ),
]
"""Of draft-ietf-httpapi-idempotency-key-header; its quotes may be left out."""

CancelAfter = Annotated[
    str | None,
    Header(
        pattern=r"^[1-9]\d{0,6}[smh]$",
        description="A deadline counted from now, such as `90s`, `5m` or `1h`. A job that has not started by then "
        "expires; a running job is canceled.",
        examples=["90s"],
    ),
]
SECONDS = {"s": 1, "m": 60, "h": 3600}

Make = Callable[[], Awaitable[Job]]


@dataclass(frozen=True)
class SubmitOptions:
    """What the headers of a request say of the job that it makes."""

    idempotency_key: str | None = None
    cancel_after_seconds: int | None = None
    wait_seconds: int | None = None
    sent_before: int | None = None
    """How often, as a client says that sends a request again without a key where its answer was lost."""
    sent: tuple[bytes, ...] = ()
    body: Body | None = None

    def claiming(self, *sent: bytes, body: Body) -> "SubmitOptions":
        """The same, with a claim to the key for a request of which the client sent this.

        One without a key that is sent again by itself is told by what was sent.
        """
        return replace(self, sent=sent, body=body)

    @cached_property
    def claim(self) -> IdempotencyLock | None:
        """The hold on the key. Made in the thread that takes the job in: what was sent may be long to look through."""
        if self.body is None or (self.idempotency_key is None and self.sent_before is None):
            return None
        sent = fingerprint(*self.sent, *self.body.sent)
        if self.idempotency_key is not None:
            return IdempotencyLock(self.idempotency_key, sent)
        return IdempotencyLock(UNNAMED + sent, sent, seconds=RESENT_SECONDS, afresh=self.sent_before == 0)


async def read_submit_options(
    idempotency_key: IdempotencyKey = None, cancel_after: CancelAfter = None, prefer: Prefer = None
) -> SubmitOptions:
    """What was asked for by headers, in our units. Async only so that FastAPI takes no thread for it."""
    seconds = int(cancel_after[:-1]) * SECONDS[cancel_after[-1]] if cancel_after else None
    return SubmitOptions(idempotency_key.strip('"') if idempotency_key else None, seconds, preferred_wait(prefer))


SubmitOptionsOf = Annotated[SubmitOptions, Depends(read_submit_options)]


async def take_in(submitted: SubmitOptions, context: Context, caller: Caller, response: Response, make: Make) -> Job:
    """The job that `make` makes, or the one that the same request with the same key has made before.

    Raises:
        IdempotencyKeyReused: the key was given to another request.
        RequestInFlight: the same request is being carried out.
    """
    known = await run_in_threadpool(made_before, submitted, context, caller)
    if known:
        response.headers["Idempotency-Replayed"] = "true"
    try:
        job = known or await make()
    except Exception:
        await run_in_threadpool(give_up, submitted, context, caller)
        raise
    add_log_context(job=job.id)
    response.headers["Location"] = place_of(job.id, context.settings)
    return job


def made_before(submitted: SubmitOptions, context: Context, caller: Caller) -> Job | None:
    """The job that came of the same request before; from now on the key is this request's where there is none."""
    return context.jobs.get(context.jobs.claim(caller.tenant, submitted.claim) or "") if submitted.claim else None


def give_up(submitted: SubmitOptions, context: Context, caller: Caller) -> None:
    """Let the key be taken anew, as nothing came of the request."""
    if submitted.claim:
        context.jobs.unclaim(caller.tenant, submitted.claim)


async def answer(job: Job, submitted: SubmitOptions, context: Context, response: Response) -> Response | schemas.Job:
    """The answer for a job that was taken in, once it has ended if that is preferred.

    Its headers go at once: whoever loses patience on the way, the client has learnt where its job is.
    """
    if not job.ended:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    if submitted.wait_seconds:
        response.headers["Preference-Applied"] = f"wait={submitted.wait_seconds}"
        try:
            if not job.ended:
                return wait_with_body(job, submitted.wait_seconds, context, response)
        except WaitingLimited as problem:
            # The job is accepted all the same, and waiting is no more than a preference.
            log.info("job not waited for", job=job.id, error=problem.detail)
            del response.headers["Preference-Applied"]
    return view_job(job, context)


def wait_with_body(job: Job, seconds: int, context: Context, response: Response) -> Response:
    """The answer whose body comes once the job has ended or the time is over; raises `WaitingLimited`."""
    context.wait_limiter.acquire(job.tenant)

    async def body() -> AsyncIterator[bytes]:
        ended = await wait_for_end(job, seconds, context)
        yield view_job(ended, context).model_dump_json(by_alias=True).encode()

    headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return LimitedStream(body(), lambda: context.wait_limiter.release(job.tenant), 202, headers, "application/json")


async def wait_for_end(job: Job, seconds: int, context: Context) -> Job:
    """The job as it stands once it has ended or the time is over; as it is known where Redis does not answer."""
    try:
        await context.watch.wait_for_end(job.id, seconds)
    except QueueUnavailable as problem:
        log.warning("job not waited for", job=job.id, error=problem.detail)
        return job
    return await run_in_threadpool(reread, job, context)


def reread(job: Job, context: Context) -> Job:
    """The job as it stands; as it is known where Redis does not answer, since it is accepted all the same."""
    try:
        return context.jobs.get(job.id) or job
    except QueueUnavailable as problem:
        log.warning("job not read again", job=job.id, error=problem.detail)
        return job


def fingerprint(*parts: bytes) -> str:
    """SHA-256 of what a client sent, each part apart."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def pin_model(reference: str, context: Context, caller: Caller, field_name: str = "model") -> str:
    """The service's own model as it is named, a published one as `name@revision`.

    Raises:
        ModelUnknown: there is no such model.
    """
    found = find_published(reference, context, caller, field_name)
    return found.reference if found else reference


def find_published(
    reference: str, context: Context, caller: Caller, field_name: str = "model"
) -> PublishedModel | None:
    """A tenant's model; None where the name is that of the service's own, or of the built-in one.

    Raises:
        ModelUnknown: there is no such model.
    """
    if reference in (context.settings.model, "tiny"):
        return None
    return context.models.find(reference, caller.tenant, field_name)


def check_options(options: JobOptions, context: Context) -> JobOptions:
    """The options; raises `UrlForbidden` where webhooks could not be sent to the URL."""
    if options.webhook_url is not None:
        try:
            context.outbound.check(options.webhook_url)
        except UrlForbidden as problem:
            problem.errors = [FieldError("#/webhook_url", problem.detail)]
            raise
    return options


def submit(job: Job, context: Context, submitted: SubmitOptions, earlier: Job | None = None) -> Job:
    """Write the record, then tell the workers; returns the job as it stands. It may have an earlier job's input."""
    kept = {"request_id": log_context_value("request_id"), "traceparent": tracing.current()}
    job = job.model_copy(update={"cancel_after_seconds": submitted.cancel_after_seconds, **kept})
    context.jobs.create(job, submitted.claim, earlier)
    try:
        context.queue.enqueue(job.id, job.kind)
    except QueueUnavailable as problem:
        # The job is accepted all the same: the reaper tells the workers of whatever waits.
        log.warning("workers not told", job=job.id, error=problem.detail)
    return reread(job, context)
