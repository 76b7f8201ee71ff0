"""GET /jobs/<id>/events: a job's history, as a stream of server-sent events or as a list."""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import Header, Query, Response
from fastapi.responses import JSONResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from service.api.auth import CallerOf
from service.api.context import Context, ContextOf
from service.api.jobs import JobId, read_job
from service.api.openapi import problems
from service.api.routes import new_router
from service.api.wait_limiter import LimitedStream
from service.contract.problems import NotFound, WaitingLimited
from service.contract.schemas.jobs import EventList

router = new_router("jobs")

EVENT_STREAM = "text/event-stream"
STREAM_EXAMPLE = 'id: 1795512106000-0\nevent: progress\ndata: {"step": 12, "steps": 20, "fraction": 0.6}\n\n'
EVENT_ID = r"^[0-9]{1,19}(-[0-9]{1,19})?$"
"""An ID of a Redis stream: two 64-bit numbers."""


@router.get(
    "/jobs/{job_id}/events",
    response_model=EventList,
    summary="Get a job's events",
    responses={
        204: {"description": "The job has ended and there are no more events: an `EventSource` stops reconnecting."},
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": STREAM_EXAMPLE}}},
        **problems(NotFound, WaitingLimited),
    },
)
async def get_events(
    job_id: JobId,
    context: ContextOf,
    caller: CallerOf,
    after: Annotated[str | None, Query(pattern=EVENT_ID, description="ID of the last event seen.")] = None,
    last_event_id: Annotated[str | None, Header(pattern=EVENT_ID, description="The same, as sent by browsers.")] = None,
    last_event_id_in_query: Annotated[
        str | None,
        Query(alias="lastEventId", pattern=EVENT_ID, description="The same, as sent by event-source-polyfill."),
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "application/json",
) -> Response:
    """Return state changes, progress, and files stored by training.

    With `Accept: text/event-stream`, stream server-sent events until the job has ended, each with an ID to resume
    from; a client that has seen the end gets 204. Otherwise, or with `after`, return up to a thousand events as JSON.
    """
    job = await read_job(job_id, context, caller)
    seen = after or last_event_id or last_event_id_in_query or "0"
    read = partial(context.pools.calling.run, caller.tenant, context.jobs.queries.events, job_id, seen)
    if EVENT_STREAM in accept and after is None:
        if job.ended and not await read():
            return Response(status_code=204)
        context.wait_limiter.acquire(caller.tenant)
        return LimitedStream(
            stream(job_id, seen, context),
            lambda: context.wait_limiter.release(caller.tenant),
            media_type=EVENT_STREAM,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
    return JSONResponse(EventList(events=await read()).model_dump(mode="json"))


async def stream(job_id: str, after: str, context: Context) -> AsyncIterator[bytes]:
    """Format the events as server-sent events, with comments in between that keep the connection open."""
    async for event in context.watch.follow(job_id, after):
        if event is None:
            yield KEEPALIVE_COMMENT
        else:
            data = {"at": event.at.isoformat(), **event.data}
            yield format_sse_event(id=event.id, event=event.type, data_str=json.dumps(data))
