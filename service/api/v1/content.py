"""GET /v1/videos/<id>/content: the files of a job, through the API, so that a client's key goes to no other host."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from service.api.auth import CallerOf
from service.api.context import Context, ContextOf
from service.api.v1.jobs import VideoId, find_video
from service.contract.problems import NotFound, ObjectNotFound, Problem, RangeMalformed, RangeUnsatisfiable
from service.contract.record import Job, JobOutput, StoredFile
from service.contract.views import place_of

router = APIRouter(include_in_schema=False)

CHUNK_BYTES = 1024 * 1024
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
Variant = Annotated[Literal["video", "thumbnail", "spritesheet"], Query()]


class VideoNotReady(Problem):
    """Of a status that clients do not send again at once, as they do a 409."""

    status, code, title, retryable = 400, "VIDEO.NOT_READY", "The video is not ready", True
    remedy = "Get the video until its status is `completed`."


@router.get("/v1/videos/{video_id}/content")
async def download_content(
    video_id: VideoId,
    context: ContextOf,
    caller: CallerOf,
    variant: Variant = "video",
    wanted: Annotated[str | None, Header(alias="range")] = None,
) -> Response:
    """The video, or its thumbnail; whole, or the range that is asked for."""
    job = await run_in_threadpool(find_video, video_id, context, caller)
    file = file_of(job, variant, context)
    start, end = range_of(wanted, file.bytes)

    async def read(place: int) -> bytes:
        length = min(CHUNK_BYTES, end - place)
        return await context.pools.reading.run(caller.tenant, context.storage.get_bytes, file.key, place, length)

    try:
        first = await read(start)
    except ObjectNotFound as error:
        raise gone(job) from error

    async def body() -> AsyncIterator[bytes]:
        piece, place = first, start
        while True:
            yield piece
            place += len(piece)
            if place >= end:
                return
            piece = await read(place)

    name = f"{job.id}.{file.key.rpartition('.')[2]}"
    headers = {
        "Content-Length": str(end - start),
        "Content-Disposition": f'inline; filename="{name}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "ETag": f'"{file.sha256}"',
    }
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.bytes}"
    return StreamingResponse(body(), 206 if wanted is not None else 200, headers, media_type=file.content_type)


def file_of(job: Job, variant: str, context: Context) -> StoredFile:
    """The file of a job.

    Raises:
        VideoNotReady: there is none yet.
        NotFound: there will be none, or no longer is.
    """
    if variant == "spritesheet":
        raise NotFound("videos have no sprite sheet here; variant may be video or thumbnail")
    if not job.ended:
        raise VideoNotReady(f"the video is {job.status}; get {place_of(job.id, context.settings)} until it has ended")
    if job.data_removed:
        raise gone(job)
    if not isinstance(job.output, JobOutput):
        raise NotFound(f"there is no video: the job is {job.status}")
    return job.output.poster if variant == "thumbnail" else job.output.video


def gone(job: Job) -> NotFound:
    return NotFound(f"the files of {job.id} have been deleted")


def range_of(wanted: str | None, size: int) -> tuple[int, int]:
    """First byte, and the one after the last; of a `Range` with one range.

    Raises:
        RangeMalformed: it is no such range.
        RangeUnsatisfiable: nothing of the file is in it.
    """
    if wanted is None:
        return 0, size
    match = RANGE.fullmatch(wanted.strip())
    if match is None or match[1] == match[2] == "":
        raise RangeMalformed("`Range` must be one range of bytes, such as bytes=0-1023")
    if match[1] == "":
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
    if start >= end:
        raise RangeUnsatisfiable(size)
    return start, end
