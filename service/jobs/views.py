"""The job as clients see it: the record, with URLs made anew for each answer."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from pydantic import BaseModel, Field

from cinemo_core.training.config import TrainConfig
from service.jobs.model import (
    Job,
    JobError,
    JobKind,
    JobMetrics,
    JobOutput,
    ModelOutput,
    Progress,
    StoredFile,
    Training,
    TrainingProgress,
)
from service.jobs.requests import AnimateRequest
from service.jobs.states import JobStatus
from service.settings import Settings
from service.storage import ObjectStore


class Context(Protocol):
    """What a view needs to know: the front has it, and who sends webhooks."""

    @property
    def settings(self) -> Settings: ...

    @property
    def storage(self) -> ObjectStore: ...


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


class ModelOutputView(ModelOutput):
    """What a succeeded training job made."""


class SampleView(BaseModel):
    """A clip made while a training goes on, with the averaged weights after a step."""

    step: int
    video: FileView
    poster: FileView


class DatasetView(BaseModel):
    """What a look at the training data told."""

    videos: int
    sampled: int
    broken: dict[str, str]
    buckets: tuple[int, ...] = Field(description="Clips by motion bucket, 0 (still) to 19.")
    histogram: FileView


class TrainingView(BaseModel):
    """What a training job leaves in the storage while it goes on."""

    dataset: DatasetView | None
    checkpoint_step: int | None = Field(description="Where it would go on if its worker died now.")
    samples: list[SampleView]
    tensorboard: list[FileView]


class UrlsView(BaseModel):
    """Where to ask about the job, and have it stop."""

    self: str
    events: str
    cancel: str


class JobView(BaseModel):
    """A job."""

    id: str = Field(examples=["job_019abf3c5d7e7f0a9d3b2c1e4f5a6b7c"])
    kind: JobKind
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None = Field(description="When it expires, or is canceled if it runs, by `Cancel-After`.")
    queue_position: int | None = Field(description="1 is next; null once it runs.")
    progress: TrainingProgress | Progress | None
    eta: datetime | None = Field(description="When it should end, going by the steps so far.")
    attempt: int = Field(description="How many times a worker has begun it.")
    request: AnimateRequest | TrainConfig
    training: TrainingView | None
    output: OutputView | ModelOutputView | None
    error: JobError | None
    metrics: JobMetrics
    urls: UrlsView
    expires_at: datetime | None = Field(description="When this record is dropped; null until the job has ended.")


def view_job(job: Job, context: Context) -> JobView:
    """Build the answer for a job."""
    shared = job.model_dump(include=set(JobView.model_fields), exclude={"output", "training", "request"})
    place = f"{context.settings.public_base_url.rstrip('/')}/jobs/{job.id}"
    return JobView(
        **shared,
        request=job.request,
        output=view_output(job.output, context),
        training=view_training(job.training, context) if job.training else None,
        urls=UrlsView(self=place, events=f"{place}/events", cancel=f"{place}/cancel"),
        eta=estimate_end(job),
    )


def view_file(file: StoredFile, context: Context) -> dict[str, Any]:
    """A stored file with a URL in place of its key."""
    seconds = context.settings.signed_url_seconds
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    url = context.storage.presign(file.key, seconds)
    return {**file.model_dump(exclude={"key"}), "url": url, "url_expires_at": expires_at}


def view_output(output: JobOutput | ModelOutput | None, context: Context) -> OutputView | ModelOutputView | None:
    if isinstance(output, ModelOutput):
        return ModelOutputView(**output.model_dump())
    if output is None:
        return None
    return OutputView(
        video=VideoView(**view_file(output.video, context)),
        poster=FileView(**view_file(output.poster, context)),
        manifest=FileView(**view_file(output.manifest, context)),
    )


def view_training(training: Training, context: Context) -> TrainingView:
    def file(stored: StoredFile) -> FileView:
        return FileView(**view_file(stored, context))

    dataset = None
    if training.dataset:
        fields = training.dataset.model_dump(exclude={"histogram"})
        dataset = DatasetView(**fields, histogram=file(training.dataset.histogram))
    return TrainingView(
        dataset=dataset,
        checkpoint_step=training.checkpoint_step,
        samples=[
            SampleView(step=each.step, video=file(each.video), poster=file(each.poster)) for each in training.samples
        ],
        tensorboard=[file(each) for each in training.tensorboard],
    )


def estimate_end(job: Job) -> datetime | None:
    """Now plus the steps left at the pace of those done; None before the first step and after the end."""
    if job.status is not JobStatus.RUNNING or job.started_at is None or job.progress is None or job.progress.step == 0:
        return None
    now = datetime.now(UTC)
    if isinstance(job.progress, TrainingProgress) and isinstance(job.request, TrainConfig):
        clips = (job.progress.steps - job.progress.step) * job.request.batch_size
        return now + timedelta(seconds=clips / max(job.progress.clips_per_second, 1e-9))
    return now + (now - job.started_at) * (1 / job.progress.fraction - 1)
