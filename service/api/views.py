"""The job as clients see it: the record, with URLs made anew for each answer."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.api.context import Context
from service.jobs.model import AnimateRequest, Job, JobError, JobMetrics, JobStatus, Progress, StoredFile


class FileView(BaseModel):
    """A file to download until its URL expires."""

    url: str
    url_expires_at: datetime
    content_type: str
    bytes: int
    sha256: str


class VideoView(FileView):
    """The video; sizes in pixels, length in seconds."""

    width: int
    height: int
    frames: int
    fps: float
    seconds: float


class OutputView(BaseModel):
    """What a succeeded job made."""

    video: VideoView
    poster: FileView
    manifest: FileView


class UrlsView(BaseModel):
    """Where to ask about the job."""

    self: str


class JobView(BaseModel):
    """An animate job."""

    id: str = Field(examples=["job_019abf3c5d7e7f0a9d3b2c1e4f5a6b7c"])
    kind: Literal["animate"]
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    queue_position: int | None = Field(description="1 is next; null once it runs.")
    progress: Progress | None
    eta: datetime | None = Field(description="When it should end, going by the steps so far.")
    attempt: int = Field(description="How many times a worker has begun it.")
    request: AnimateRequest
    output: OutputView | None
    error: JobError | None
    metrics: JobMetrics
    urls: UrlsView
    expires_at: datetime = Field(description="When this record is dropped.")


def view_job(job: Job, context: Context) -> JobView:
    """Build the answer for a job."""

    def view_file(file: StoredFile) -> dict[str, Any]:
        seconds = context.settings.signed_url_seconds
        expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        url = context.storage.presign(file.key, seconds)
        return {**file.model_dump(exclude={"key"}), "url": url, "url_expires_at": expires_at}

    output = None
    if job.output is not None:
        output = OutputView(
            video=VideoView(**view_file(job.output.video)),
            poster=FileView(**view_file(job.output.poster)),
            manifest=FileView(**view_file(job.output.manifest)),
        )
    shared = job.model_dump(include=set(JobView.model_fields), exclude={"output"})
    urls = UrlsView(self=f"{context.settings.public_base_url.rstrip('/')}/jobs/{job.id}")
    return JobView(**shared, output=output, urls=urls, eta=estimate_end(job))


def estimate_end(job: Job) -> datetime | None:
    """Now plus the steps left at the pace of those done; None before the first step and after the end."""
    if job.status is not JobStatus.RUNNING or job.started_at is None or job.progress is None or job.progress.step == 0:
        return None
    now = datetime.now(UTC)
    return now + (now - job.started_at) * (1 / job.progress.fraction - 1)
