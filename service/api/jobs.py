"""GET /jobs and /jobs/<id>: status of jobs; POST /jobs/<id>/cancel: stop one."""

import asyncio
import hashlib
import re
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request, Response
from starlette.requests import ClientDisconnect

from service.api.answers import json_response
from service.api.auth import DEFAULT_CALLER, Authentication, Caller, CallerOf, admitted, caller_of, known, token_of
from service.api.context import Context, ContextOf, context_of
from service.api.etags import is_known
from service.api.fields import MAX_NAME
from service.api.openapi import headers, problems
from service.api.routes import new_router
from service.contract.problems import NotFound, WaitingLimited
from service.contract.record import JOB_ID_PATTERN, Job, JobKind
from service.contract.schemas import jobs as schemas
from service.contract.schemas.examples import JOB_ID
from service.contract.schemas.timestamps import Timestamp
from service.contract.states import JobStatus
from service.contract.views import view_job
from service.observability.logs import add_log_context
from service.store.queries import JobFilter

router = new_router("jobs")

CURSOR = f"^({JOB_ID_PATTERN})?$"
MAX_WAIT_SECONDS = 50
"""Shorter than the default response timeout of nginx and load balancers, a minute."""
MAX_REQUESTED_SECONDS = 60
PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,4})", re.IGNORECASE)

JobId = Annotated[str, Path(description="ID of the job.", examples=[JOB_ID])]
Wait = Annotated[
    int | None,
    Query(
        ge=1,
        le=MAX_REQUESTED_SECONDS,
        description=f"Respond once the job has ended, or after this many seconds, at most {MAX_WAIT_SECONDS}.",
    ),
]
Prefer = Annotated[
    str | None,
    Header(
        description="`wait=N` (RFC 7240): respond once the job has ended, or after N seconds, at most "
        f"{MAX_WAIT_SECONDS}."
    ),
]


@dataclass(frozen=True)
class OwnJob:
    """The job of the path, and the caller, whose job it is."""

    caller: Caller
    job: Job


class JobAccess(Authentication):
    """A dependency that authenticates, and reads the job of the path in the same round trip to Redis."""

    async def __call__(self, request: Request) -> OwnJob:  # type: ignore[override]
        context, job_id = context_of(request), request.path_params["job_id"]
        if context.settings.auth == "off":
            caller, job = known(DEFAULT_CALLER), await context.lookups.job(job_id)
        else:
            key, job = await context.lookups.api_key_and_job(token_of(request), job_id)
            caller = admitted(caller_of(key), request, context)
        return OwnJob(caller, own_job(job, job_id, caller))


OwnJobOf = Annotated[OwnJob, Depends(JobAccess(counts=False))]


@router.get(
    "/jobs",
    summary="List jobs",
)
def list_jobs(
    context: ContextOf,
    caller: CallerOf,
    status: Annotated[JobStatus | None, Query(description="Filter by status.")] = None,
    kind: Annotated[JobKind | None, Query(description="Filter by kind.")] = None,
    created_after: Annotated[Timestamp | None, Query(description="Only jobs created at or after this time.")] = None,
    created_before: Annotated[Timestamp | None, Query(description="Only jobs created before this time.")] = None,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR, description="`next_cursor` of the previous page; may be empty for the first.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of jobs per page.")] = 20,
) -> schemas.JobList:
    """Newest first.

    A page of jobs with long prompts or much metadata can be short, and with filters even empty, although more follow.
    """
    job_filter = JobFilter(status, (kind,) if kind else (), created_after, created_before)
    page = context.jobs.queries.page(caller.tenant, job_filter, cursor or None, limit)
    return schemas.JobList(jobs=[view_job(job, context) for job in page.jobs], next_cursor=page.next_cursor)


@router.get(
    "/jobs/{job_id}",
    response_model=schemas.Job,
    summary="Get a job",
    responses={
        200: headers("ETag", "Retry-After", "Preference-Applied"),
        304: {"description": "Not modified since the given ETag.", **headers("ETag")},
        **problems(NotFound, WaitingLimited),
    },
)
async def get_job(
    job_id: JobId,
    request: Request,
    own: OwnJobOf,
    wait: Wait = None,
    prefer: Prefer = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the job with its per-step progress and fresh presigned download URLs."""
    context, caller, job = context_of(request), own.caller, own.job
    seconds = min(wait, MAX_WAIT_SECONDS) if wait else preferred_wait(prefer)
    if seconds and not job.ended:
        with context.wait_limiter.slot(caller.tenant):
            await wait_while_connected(request, context.watch.wait_for_end(job_id, seconds))
        job = await read_job(job_id, context, caller)
    tag = entity_tag(job, context.settings.signed_url_seconds)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if prefer and seconds:
        headers["Preference-Applied"] = f"wait={seconds}"
    if if_none_match and is_known(tag, if_none_match):
        return Response(status_code=304, headers=headers)
    if not job.ended:
        headers["Retry-After"] = "1"
    return json_response(view_job(job, context), headers=headers)


async def wait_while_connected(request: Request, waiting: Coroutine[Any, Any, None]) -> None:
    """Wait, but raise `ClientDisconnect` once the client has disconnected, so that it doesn't count any longer."""
    work = asyncio.ensure_future(waiting)
    disconnect = asyncio.ensure_future(disconnected(request))
    try:
        await asyncio.wait((work, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        work.result()
    finally:
        for each in (work, disconnect):
            each.cancel()


async def disconnected(request: Request) -> None:
    """Wait until the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


def preferred_wait(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait=N`, clamped to what is allowed; None if there are none."""
    match = PREFER_WAIT.search(prefer or "")
    return min(max(int(match[1]), 1), MAX_WAIT_SECONDS) if match else None


def entity_tag(job: Job, signed_url_seconds: int) -> str:
    """An ETag that changes with the job, and before its presigned URLs expire; weak, as those differ each time."""
    period = int(time.time() / max(signed_url_seconds / 2, 1))
    return f'W/"{hashlib.sha256(f"{job.model_dump_json()}{period}".encode()).hexdigest()[:32]}"'


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    response_model=schemas.Job,
    summary="Cancel a job",
    responses=problems(NotFound),
)
def cancel_job(job_id: JobId, context: ContextOf, caller: CallerOf) -> schemas.Job:
    """Cancel a job: a queued job stops immediately, a running one after its current step. The call is idempotent.

    A job that has ended keeps its final status.
    """
    context.jobs.cancel(find_job(job_id, context, caller))
    return view_job(find_job(job_id, context, caller), context)


def find_job(job_id: str, context: Context, caller: Caller) -> Job:
    """Find a job; raises the same `NotFound` whether it doesn't exist or is another tenant's."""
    return own_job(context.jobs.queries.get(job_id), job_id, caller)


async def read_job(job_id: str, context: Context, caller: Caller) -> Job:
    """Find a job on the event loop; raises as `find_job`."""
    return own_job(await context.lookups.job(job_id), job_id, caller)


def own_job(job: Job | None, job_id: str, caller: Caller) -> Job:
    if job is None or job.tenant != caller.tenant:
        raise NotFound(f"no job {job_id[:MAX_NAME]}")
    add_log_context(job=job.id)
    return job
