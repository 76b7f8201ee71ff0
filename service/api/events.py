"""GET /jobs/<id>/events: how a job came to where it stands, as it happens or as a list."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Receive, Scope, Send

from service.api.auth import CallerOf
from service.api.context import Context, ContextOf
from service.api.documents import problems
from service.api.jobs import JobId, find
from service.errors import NotFound, WaitingLimited
from service.schemas.jobs import EventList

router = APIRouter(tags=["jobs"])

EVENT_STREAM = "text/event-stream"
STREAM_EXAMPLE = 'id: 1795512106000-0\nevent: progress\ndata: {"step": 12, "steps": 20, "fraction": 0.6}\n\n'
EVENT_ID = r"^[0-9]{1,19}(-[0-9]{1,19})?$"
"""Redis has 64 bits for each half."""


@router.get(
    "/jobs/{job_id}/events",
    response_model=EventList,
    summary="What happened to a job",
    responses={
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": STREAM_EXAMPLE}}},
        **problems(NotFound, WaitingLimited),
    },
)
async def get_events(
    job_id: JobId,
    context: ContextOf,
    caller: CallerOf,
    after: Annotated[str | None, Query(pattern=EVENT_ID, description="Id of the last event seen.")] = None,
    last_event_id: Annotated[str | None, Header(pattern=EVENT_ID, description="The same, as browsers send it.")] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "application/json",
) -> Response:
    """Changes of state, progress, and what a training stored.

    With `Accept: text/event-stream` as server-sent events, each with an id to go on from, until the job has ended;
    else, or with `after`, up to a thousand as JSON.
    """
    await run_in_threadpool(find, job_id, context, caller)
    seen = after or last_event_id or "0"
    if EVENT_STREAM in accept and after is None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        context.waiting.enter(caller.tenant)
        events_to_come = stream(job_id, seen, context)
        return Stream(
            events_to_come, lambda: context.waiting.leave(caller.tenant), media_type=EVENT_STREAM, headers=headers
        )
    events = await run_in_threadpool(context.jobs.events, job_id, seen)
    return JSONResponse(EventList(events=events).model_dump(mode="json"))


class Stream(StreamingResponse):
    """Gives its tenant's place back once it is over, however that comes."""

    def __init__(self, content: AsyncIterator[bytes], leave: Callable[[], None], **options: Any) -> None:
        super().__init__(content, **options)
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


async def stream(job_id: str, after: str, context: Context) -> AsyncIterator[bytes]:
    """The events in the format of server-sent events; a comment now and then keeps the connection open."""
    async for event in context.watch.follow(job_id, after):
        if event is None:
            yield KEEPALIVE_COMMENT
        else:
            data = {"at": event.at.isoformat(), **event.data}
            yield format_sse_event(id=event.id, event=event.type, data_str=json.dumps(data))
