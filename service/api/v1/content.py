"""GET /v1/videos/<id>/content: a job's files, sent by the API itself, so that clients' keys reach no other host."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import Header, Query, Response
from starlette.responses import StreamingResponse

from service.api.auth import CallerOf
from service.api.context import Context, ContextOf
from service.api.routes import new_hidden_router
from service.api.v1.jobs import VideoId, find_video
from service.contract.problems import NotFound, ObjectNotFound, Problem, RangeMalformed, RangeUnsatisfiable
from service.contract.record import Job, JobOutput, StoredFile
from service.contract.views import job_url

router = new_hidden_router()

CHUNK_BYTES = 256 * 1024
"""A client that doesn't read keeps two of them in memory, one of which waits for the connection."""
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
Variant = Annotated[Literal["video", "thumbnail", "spritesheet"], Query()]


class VideoNotReady(Problem):
    """A 400, because OpenAI's clients retry a 409 immediately."""

    status, code, title, retryable = 400, "VIDEO.NOT_READY", "The video is not ready", True
    remedy = "Poll the video until its status is `completed`."


@router.get("/v1/videos/{video_id}/content")
async def download_content(
    video_id: VideoId,
    context: ContextOf,
    caller: CallerOf,
    variant: Variant = "video",
    range_header: Annotated[str | None, Header(alias="range")] = None,
) -> Response:
    """Download the video or its thumbnail, or a range of it."""
    job = await context.pools.calling.run(caller.tenant, find_video, video_id, context, caller)
    file = find_file(job, variant, context)
    start, end = parse_range(range_header, file.bytes)

    async def read(offset: int) -> bytes:
        length = min(CHUNK_BYTES, end - offset)
        return await context.pools.reading.run(caller.tenant, context.storage.get_bytes, file.key, offset, length)

    try:
        first = await read(start)
    except ObjectNotFound as error:
        raise files_deleted(job) from error

    async def body(chunk: bytes) -> AsyncIterator[bytes]:
        offset = start
        while True:
            yield chunk
            offset += len(chunk)
            if offset >= end:
                return
            chunk = await read(offset)

    name = f"{job.id}.{file.key.rpartition('.')[2]}"
    headers = {
        "Content-Length": str(end - start),
        "Content-Disposition": f'inline; filename="{name}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "ETag": f'"{file.sha256}"',
    }
    if range_header is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.bytes}"
    return StreamingResponse(
        body(first), 206 if range_header is not None else 200, headers, media_type=file.content_type
    )


def find_file(job: Job, variant: str, context: Context) -> StoredFile:
    """Find a job's file.

    Raises:
        VideoNotReady: it doesn't exist yet.
        NotFound: it was deleted, or never will exist.
    """
    if not job.ended:
        raise VideoNotReady(f"the job is {job.status}; poll {job_url(job.id, context.settings)} until it has ended")
    if job.data_removed:
        raise files_deleted(job)
    if not isinstance(job.output, JobOutput):
        raise NotFound(f"there is no video: the job is {job.status}")
    files = {"video": job.output.video, "thumbnail": job.output.poster, "spritesheet": job.output.spritesheet}
    file = files[variant]
    if file is None:
        raise NotFound("an earlier release made this video, without a sprite sheet")
    return file


def files_deleted(job: Job) -> NotFound:
    return NotFound(f"the files of {job.id} have been deleted")


def parse_range(range_header: str | None, size: int) -> tuple[int, int]:
    """Parse a `Range` header with a single range; returns the first byte and the one after the last.

    Raises:
        RangeMalformed: it is something else.
        RangeUnsatisfiable: it is outside the file.
    """
    if range_header is None:
        return 0, size
    match = RANGE.fullmatch(range_header.strip())
    if match is None or match[1] == match[2] == "":
        raise RangeMalformed("`Range` must be a single range of bytes, such as `bytes=0-1023`")
    if match[1] == "":
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
    if start >= end:
        raise RangeUnsatisfiable(size)
    return start, end
