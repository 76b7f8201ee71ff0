"""Jobs as clients see them: one class per kind, distinguished by `kind`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from cinemo_spec.distillation import Comparison
from cinemo_spec.training import TrainConfig
from service.contract.record import (
    Event,
    JobError,
    JobKind,
    JobMetrics,
    ModelOutput,
    Progress,
    Signing,
    TrainingProgress,
)
from service.contract.requests import AnimateRequest, EditRequest
from service.contract.states import JobStatus


class File(BaseModel):
    """A file to download until its URL expires."""

    url: str
    url_expires_at: datetime
    content_type: str
    bytes: int
    sha256: str


class Video(File):
    """The video; sizes in pixels, length in seconds."""

    width: int
    height: int
    frames: int
    fps: float
    seconds: float


class VideoOutput(BaseModel):
    """The output of a succeeded job."""

    video: Video
    poster: File
    spritesheet: File | None = Field(
        None,
        description="Up to 16 evenly spaced frames as one JPEG, four in a row, each at most 320 pixels wide; null for "
        "jobs of earlier releases.",
    )
    manifest: File
    credentials: File | None = Field(
        None,
        description="Signed content credentials (C2PA) of a WebM video, which can't hold them itself; null for other "
        "formats, whose files contain them, and if unsigned.",
    )
    digital_source_type: str | None = Field(
        None,
        description="IPTC digital source type that video and poster state, as a URL; null if unmarked.",
    )
    signing: Signing | None = Field(
        None, description="How video and poster are signed; null if the service doesn't sign them."
    )
    watermark_id: str | None = Field(
        None,
        description="Eight hexadecimal digits that the pixels of video and poster carry; null without a watermark.",
    )


class TrainingSample(BaseModel):
    """A clip generated during training with the averaged weights after a step."""

    step: int
    video: File
    poster: File


class Dataset(BaseModel):
    """Results of checking the training data."""

    videos: int
    captioned: int | None = Field(None, description="Number of videos with a caption.")
    sampled: int
    broken: dict[str, str]
    buckets: list[int] = Field(description="Clips by motion bucket, 0 (still) to 19.")
    histogram: File
    notes: list[str] = Field([], description="Other findings, such as videos that were skipped; one sentence each.")


class TrainingFiles(BaseModel):
    """What a training job stores while it runs."""

    dataset: Dataset | None
    checkpoint_step: int | None = Field(description="The step it would resume from if its worker died now.")
    samples: list[TrainingSample] = Field(
        description="Samples of the newest 50 steps that have any; earlier ones stay in storage with the job's other "
        "files."
    )
    tensorboard: list[File]
    comparison: Comparison | None = Field(
        None,
        description="A distilled model compared with its teacher, even if it falls short; null for other trainings.",
    )


class Urls(BaseModel):
    """URLs to query and cancel the job."""

    self: str
    events: str
    cancel: str


class BaseJob(BaseModel):
    """Fields of all kinds of jobs."""

    id: str
    kind: JobKind
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None = Field(
        description="When the job expires, or is canceled if running, as set with `Cancel-After`."
    )
    queue_position: int | None = Field(description="1 is next; null once the job runs.")
    eta: datetime | None = Field(
        description="Expected end. While queued, estimated from the jobs ahead and how long such jobs took; once "
        "running, from its own steps."
    )
    attempt: int = Field(description="How many times a worker has started the job.")
    device_ms: int = Field(
        description="Time for which the job's attempts held a device, including lost ones, excluding the running one. "
        "It counts towards your usage."
    )
    error: JobError | None
    metrics: JobMetrics
    urls: Urls
    reused_from: str | None = Field(description="The identical job whose output was reused; the model did not run.")
    data_removed: bool = Field(
        description="Whether the job's files were deleted, because of their age or with `DELETE`."
    )
    expires_at: datetime | None = Field(description="When this record expires; null until the job has ended.")
    metadata: dict[str, str] = Field(description="As sent with the request.")
    webhook_url: str | None
    webhook_events: list[str] = Field(description="Events sent to the webhook URL; values may be added.")
    priority: int
    reuse: bool
    preview: bool


class AnimateJob(BaseJob):
    """A job that makes a video from a photo."""

    kind: Literal["animate"]
    request: AnimateRequest
    progress: Progress | None
    output: VideoOutput | None


class EditJob(BaseJob):
    """A job that applies a video's motion to another first frame."""

    kind: Literal["edit"]
    request: EditRequest
    progress: Progress | None
    output: VideoOutput | None


class TrainJob(BaseJob):
    """A job that trains a model on videos."""

    kind: Literal["train"]
    request: TrainConfig
    progress: TrainingProgress | None
    training: TrainingFiles | None
    continues: str | None = Field(
        description="The training job that this one reruns, and whose last state it started from."
    )
    output: ModelOutput | None


Job = TypeAliasType("Job", Annotated[AnimateJob | EditJob | TrainJob, Field(discriminator="kind")])
"""A named union, so that the OpenAPI document has one component for it."""


class JobList(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[Job]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page; null on the last page.")


class EventList(BaseModel):
    """Events of a job, oldest first."""

    events: list[Event]
