"""Converts jobs into the dialect's video objects."""

import math
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel

from cinemo_spec.formats import video_size
from service.api.context import Context
from service.contract.record import Job, JobKind, JobOutput
from service.contract.requests import AnimateRequest, EditRequest
from service.contract.states import JobStatus
from service.contract.views import view_file

KINDS: tuple[JobKind, ...] = ("animate", "edit")
"""Jobs that make a video."""

Status = Literal["queued", "in_progress", "completed", "failed"]
STATUSES: dict[JobStatus, Status] = {
    JobStatus.QUEUED: "queued",
    JobStatus.RUNNING: "in_progress",
    JobStatus.CANCELING: "in_progress",
    JobStatus.SUCCEEDED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELED: "failed",
    JobStatus.EXPIRED: "failed",
}
CANCELED = "JOB.CANCELED"
MAX_UNFINISHED_PERCENT = 99
"""After the last step, the video still has to be encoded and stored."""


class VideoError(BaseModel):
    """Why a job failed."""

    code: str
    message: str


class Video(BaseModel):
    """A job that makes a video; times in Unix seconds, all keys always present."""

    id: str
    object: Literal["video"] = "video"
    model: str
    status: Status
    progress: int
    created_at: int
    completed_at: int | None
    expires_at: int | None
    prompt: str
    size: str | None
    seconds: str | None
    remixed_from_video_id: None = None
    error: VideoError | None
    url: str | None


class VideoList(BaseModel):
    """A page of videos."""

    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoDeleted(BaseModel):
    """Response to DELETE."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


def view_video(job: Job, context: Context) -> Video:
    """Convert a job that makes a video."""
    assert isinstance(job.request, AnimateRequest | EditRequest)
    prompt = job.request.prompt
    return Video(
        id=job.id,
        model=job.model,
        status=STATUSES[job.status],
        progress=percent(job),
        created_at=unix(job.created_at),
        completed_at=unix(job.finished_at) if job.finished_at else None,
        expires_at=files_expire_at(job, context),
        prompt=prompt if isinstance(prompt, str) else "\n".join(prompt),
        size=size_of(job, job.request, context),
        seconds=seconds_of(job, job.request),
        error=error_of(job),
        url=url_of(job, context),
    )


def percent(job: Job) -> int:
    """Progress from 0 to 100; 100 means that the video exists."""
    if job.status is JobStatus.SUCCEEDED:
        return 100
    return min(int(job.progress.fraction * 100), MAX_UNFINISHED_PERCENT) if job.progress else 0


def files_expire_at(job: Job, context: Context) -> int | None:
    """When the files of an ended job are deleted, which is never later than its record."""
    if job.finished_at is None:
        return None
    files = job.finished_at + timedelta(seconds=context.settings.output_retention_seconds)
    return unix(min(files, job.expires_at or files))


def size_of(job: Job, request: AnimateRequest | EditRequest, context: Context) -> str | None:
    """WIDTHxHEIGHT; None while it is not known, as the model decides it."""
    if isinstance(job.output, JobOutput):
        return f"{job.output.video.width}x{job.output.video.height}"
    if request.width is not None and request.height is not None:
        return f"{request.width}x{request.height}"
    if request.detail == "off" or job.input_size is None:
        return None
    limit = context.settings.max_output_pixels
    width, height = video_size(job.input_size, request.width, request.height, max_pixels=limit)
    return f"{width}x{height}"


def seconds_of(job: Job, request: AnimateRequest | EditRequest) -> str | None:
    """The video's length; None while it is not known, as it depends on a source that has not been read yet."""
    if isinstance(job.output, JobOutput):
        return format_seconds(job.output.video.seconds)
    return format_seconds(request.video_frames / (request.fps * request.factor)) if request.fps is not None else None


def format_seconds(seconds: float) -> str:
    """Format a length, rounded to hundredths."""
    return f"{math.floor(seconds * 100 + 0.5) / 100:g}"


def error_of(job: Job) -> VideoError | None:
    if STATUSES[job.status] != "failed":
        return None
    if job.error is not None:
        return VideoError(code=job.error.code, message=job.error.message)
    return VideoError(code=CANCELED, message="the job was canceled")


def url_of(job: Job, context: Context) -> str | None:
    """A presigned URL of the video."""
    if not isinstance(job.output, JobOutput) or job.data_removed:
        return None
    return str(view_file(job.output.video, context)["url"])


def unix(moment: datetime) -> int:
    return int(moment.timestamp())
