"""Jobs as clients see them: one class a kind, told apart by `kind`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from cinemo_core.training.config import TrainConfig
from service.jobs.model import Event, JobError, JobKind, JobMetrics, ModelOutput, Progress, TrainingProgress
from service.jobs.requests import AnimateRequest, EditRequest
from service.jobs.states import JobStatus


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
    """What a succeeded job made."""

    video: Video
    poster: File
    manifest: File


class TrainingSample(BaseModel):
    """A clip made while a training goes on, with the averaged weights after a step."""

    step: int
    video: File
    poster: File


class Dataset(BaseModel):
    """What a look at the training data told."""

    videos: int
    captioned: int | None = Field(None, description="How many of the videos have a caption.")
    sampled: int
    broken: dict[str, str]
    buckets: list[int] = Field(description="Clips by motion bucket, 0 (still) to 19.")
    histogram: File
    notes: list[str] = Field([], description="What else was found, as videos that are left out; a sentence each.")


class TrainingFiles(BaseModel):
    """What a training job leaves in the storage while it goes on."""

    dataset: Dataset | None
    checkpoint_step: int | None = Field(description="Where it would go on if its worker died now.")
    samples: list[TrainingSample] = Field(
        description="Of the newest 50 steps that have any; those before stay in the storage with the job's other files."
    )
    tensorboard: list[File]


class Urls(BaseModel):
    """Where to ask about the job, and have it stop."""

    self: str
    events: str
    cancel: str


class BaseJob(BaseModel):
    """What all kinds of jobs have."""

    id: str
    kind: JobKind
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None = Field(description="When it expires, or is canceled if it runs, by `Cancel-After`.")
    queue_position: int | None = Field(description="1 is next; null once it runs.")
    eta: datetime | None = Field(
        description="When it should end, by the jobs before it and what such jobs took; once it runs, by its own steps."
    )
    attempt: int = Field(description="How many times a worker has begun it.")
    error: JobError | None
    metrics: JobMetrics
    urls: Urls
    reused_from: str | None = Field(description="The equal job whose output was given again; the model did not run.")
    data_removed: bool = Field(description="Whether its files are gone: by their age, or by `DELETE`.")
    expires_at: datetime | None = Field(description="When this record is dropped; null until the job has ended.")
    metadata: dict[str, str] = Field(description="As it was given.")
    webhook_url: str | None
    webhook_events: list[str] = Field(description="Of what the webhook URL is told; more may come.")
    priority: int
    reuse: bool


class AnimateJob(BaseJob):
    """A job that makes a video of a photo."""

    kind: Literal["animate"]
    request: AnimateRequest
    progress: Progress | None
    output: VideoOutput | None


class EditJob(BaseJob):
    """A job that gives a video's motion to another first frame."""

    kind: Literal["edit"]
    request: EditRequest
    progress: Progress | None
    output: VideoOutput | None


class TrainJob(BaseJob):
    """A job that makes a model of videos."""

    kind: Literal["train"]
    request: TrainConfig
    progress: TrainingProgress | None
    training: TrainingFiles | None
    continues: str | None = Field(
        description="The training of which it is a rerun, and whose last state it began from."
    )
    output: ModelOutput | None


Job = TypeAliasType("Job", Annotated[AnimateJob | EditJob | TrainJob, Field(discriminator="kind")])
"""A named union, so that the OpenAPI document has one component for it."""


class JobList(BaseModel):
    """A page of jobs, the newest first."""

    jobs: list[Job]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class EventList(BaseModel):
    """Events of a job, the oldest first."""

    events: list[Event]
