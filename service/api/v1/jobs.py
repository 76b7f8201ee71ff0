"""GET and DELETE /v1/videos: all jobs that make videos, whichever route created them."""

from typing import Annotated, Literal

from fastapi import Path, Query, Response

from service.api.auth import Caller, CallerOf
from service.api.context import Context, ContextOf
from service.api.fields import MAX_NAME
from service.api.jobs import CURSOR, find_job
from service.api.remove import remove
from service.api.routes import new_hidden_router
from service.api.v1.views import KINDS, Video, VideoDeleted, VideoList, view_video
from service.contract.problems import NotFound
from service.contract.record import Job
from service.store.queries import JobFilter

router = new_hidden_router()

POLL_MS = 1000

VideoId = Annotated[str, Path()]


@router.get("/v1/videos")
def list_videos(
    context: ContextOf,
    caller: CallerOf,
    after: Annotated[str | None, Query(pattern=CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> VideoList:
    """List the tenant's videos, newest first by default."""
    found, more = find_videos(context, caller, after or None, limit, order == "asc")
    page = [view_video(job, context) for job in found]
    first, last = (page[0].id, page[-1].id) if page else (None, None)
    return VideoList(data=page, first_id=first, last_id=last, has_more=more)


def find_videos(
    context: Context, caller: Caller, after: str | None, limit: int, oldest_first: bool
) -> tuple[list[Job], bool]:
    """Return up to `limit` jobs that make videos, fewer if their records are large, and whether there may be more."""
    job_filter = JobFilter(kinds=KINDS, oldest_first=oldest_first)
    found: list[Job] = []
    while True:
        page = context.jobs.queries.page(caller.tenant, job_filter, after, limit + 1 - len(found))
        found += page.jobs
        after = page.next_cursor
        if after is None or len(found) > limit or page.is_large:
            return found[:limit], after is not None or len(found) > limit


@router.get("/v1/videos/{video_id}")
def retrieve_video(video_id: VideoId, response: Response, context: ContextOf, caller: CallerOf) -> Video:
    """Return a video object."""
    job = find_video(video_id, context, caller)
    if not job.ended:
        response.headers["openai-poll-after-ms"] = str(POLL_MS)
    return view_video(job, context)


@router.delete("/v1/videos/{video_id}")
def delete_video(video_id: VideoId, context: ContextOf, caller: CallerOf) -> VideoDeleted:
    """Delete a video's files; an unfinished job is canceled first."""
    remove(find_video(video_id, context, caller), context)
    return VideoDeleted(id=video_id)


def find_video(video_id: str, context: Context, caller: Caller) -> Job:
    """Find a job that makes a video; raises `NotFound` if the tenant has no such job."""
    job = find_job(video_id, context, caller)
    if job.kind not in KINDS:
        raise NotFound(f"no video {video_id[:MAX_NAME]}")
    return job
