"""The job record, as stored in Redis."""

import os
import re
import time
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from cinemo_spec.distillation import Comparison
from cinemo_spec.strict import StrictModel
from cinemo_spec.training import TrainConfig
from service.contract.requests import AnimateRequest, EditRequest, JobOptions
from service.contract.states import ENDED, JobStatus

JobKind = Literal["animate", "edit", "train"]
DEFAULT_TENANT = "default"

REQUESTS: dict[JobKind, type[AnimateRequest | EditRequest | TrainConfig]] = {
    "animate": AnimateRequest,
    "edit": EditRequest,
    "train": TrainConfig,
}
"""The request model of each kind of job."""


class Progress(StrictModel):
    """Completed steps of denoising or training."""

    step: int
    steps: int
    fraction: float = Field(ge=0, le=1)
    message: str


class TrainingProgress(Progress):
    """Completed optimizer steps and training metrics."""

    loss: float = Field(description="Mean since the last report.")
    learning_rate: float
    clips_per_second: float
    waiting_share: float = Field(description="Share of the time spent waiting for data, 0 to 1.")


class StoredFile(StrictModel):
    """A file of the job in the storage."""

    key: str
    content_type: str
    bytes: int
    sha256: str


class StoredVideo(StoredFile):
    """The video, with its sizes in pixels and its length in seconds."""

    width: int
    height: int
    frames: int
    fps: float
    seconds: float


class Signing(StrictModel):
    """Whether video and poster are signed (C2PA content credentials), and by whom, or why not."""

    signed: bool
    signer: str | None = Field(None, description="Name in the certificate; null if unsigned.")
    job: str | None = Field(
        None,
        description="The job that the credentials name: an earlier one if its output was reused; null if unsigned.",
    )
    error: str | None = Field(None, description="Why they couldn't be signed; null if signed.")


class JobOutput(StrictModel):
    """Output of a succeeded job that makes a video; `credentials` are those of a WebM, which can't contain its own."""

    video: StoredVideo
    poster: StoredFile
    spritesheet: StoredFile | None = None
    manifest: StoredFile
    credentials: StoredFile | None = None
    digital_source_type: str | None = None
    signing: Signing | None = None
    watermark_id: str | None = None


class ModelOutput(StrictModel):
    """Output of a succeeded training job: a model name that you can pass to `POST /animate`."""

    model: str = Field(examples=["waves@3f0c9a5b21de"])
    first_loss: float
    last_loss: float


class Sample(StrictModel):
    """A clip generated during training with the averaged weights after a step."""

    step: int
    video: StoredFile
    poster: StoredFile


class DatasetReport(StrictModel):
    """Results of checking the training data; `buckets` counts the sampled clips by motion bucket, 0 to 19."""

    videos: int
    captioned: int | None = Field(None, description="Number of videos with a caption; null until it is known.")
    sampled: int
    broken: dict[str, str] = Field(description="Unusable videos and the reasons; the first hundred.")
    buckets: tuple[int, ...]
    histogram: StoredFile
    notes: tuple[str, ...] = Field(
        (), description="Other findings, such as videos that were skipped; one sentence each."
    )


SAMPLED_STEPS = 50
"""How many steps keep their samples in the record, which is written and presigned as a whole each time."""


class Training(StrictModel):
    """What a training job stores while it runs."""

    dataset: DatasetReport | None = None
    checkpoint_step: int | None = Field(None, description="The step it would resume from if its worker died now.")
    samples: tuple[Sample, ...] = ()
    tensorboard: tuple[StoredFile, ...] = ()
    comparison: Comparison | None = None

    def samples_with(self, new: list[Sample]) -> tuple[Sample, ...]:
        """Add new samples, which replace earlier ones of the same steps, and keep those of the newest steps."""
        replaced = {each.step for each in new}
        samples = (*(each for each in self.samples if each.step not in replaced), *new)
        kept = sorted({each.step for each in samples})[-SAMPLED_STEPS:]
        return tuple(each for each in samples if each.step in kept)


class JobError(StrictModel):
    """Why a job failed."""

    code: str = Field(
        description="Machine-readable code of the failure; values may be added.", examples=["WORKER.LOST"]
    )
    message: str = Field(description="What was received and what is allowed.")
    retryable: bool = Field(description="Whether the same job may succeed if sent again.")


class JobMetrics(StrictModel):
    """Timings in milliseconds; `gpu_ms` is the model's share, on whatever device it ran."""

    queue_ms: int | None = None
    execution_ms: int | None = None
    gpu_ms: int | None = None


class Job(StrictModel):
    """The record of a job."""

    id: str
    kind: JobKind = "animate"
    tenant: str = DEFAULT_TENANT
    status: JobStatus = JobStatus.QUEUED
    created_at: datetime
    started_at: datetime | None = None
    taken_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    removal_begun: bool = False
    data_removed: bool = False
    digest: str | None = None
    reused_from: str | None = None
    continues: str | None = None
    cancel_after_seconds: int | None = None
    deadline: datetime | None = None
    queue_position: int | None = None
    expected_seconds: int | None = None
    attempt: int = 0
    losses: int = 0
    device_ms: int = 0
    worker: str | None = None
    input_key: str | None = None
    input_size: tuple[int, int] | None = None
    video_key: str | None = None
    request_id: str | None = None
    traceparent: str | None = None
    request: AnimateRequest | EditRequest | TrainConfig
    options: JobOptions = JobOptions()
    progress: TrainingProgress | Progress | None = None
    training: Training | None = None
    output: JobOutput | ModelOutput | None = None
    error: JobError | None = None
    metrics: JobMetrics = JobMetrics()

    @property
    def model(self) -> str:
        """The model that the job runs, or from which its training starts."""
        return self.request.base_model if isinstance(self.request, TrainConfig) else self.request.model

    @property
    def models(self) -> tuple[str, ...]:
        """The model and all adapters that the job uses."""
        adapters = () if isinstance(self.request, TrainConfig) else self.request.adapters
        return (self.model, *(each.model for each in adapters))

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Event(StrictModel):
    """An event of a job; IDs increase."""

    id: str
    type: str = Field(examples=["job.running", "progress", "sample"])
    at: datetime
    data: dict[str, object]


JOB_PREFIX = "job_"
JOB_ID_PATTERN = f"{JOB_PREFIX}[0-9a-f]{{32}}"


def new_job_id() -> str:
    """Create a job ID with the time on this machine's clock."""
    return new_id(JOB_PREFIX)


def job_created_at(job_id: str) -> datetime:
    """Return the creation time that is part of a job's ID."""
    created_at = id_created_at(JOB_PREFIX, job_id)
    assert created_at is not None
    return created_at


def earliest_job_id(created_at: datetime) -> str:
    """Return a text that sorts before the IDs of jobs created at or after a time, and after all earlier ones."""
    return f"{JOB_PREFIX}{int(created_at.timestamp() * 1000):012x}"


def new_id(prefix: str, now_ms: int | None = None) -> str:
    """Create an ID: a prefix and a UUIDv7 (RFC 9562, section 5.7) in hexadecimal, so that IDs sort by creation time.

    `now_ms` is in Unix milliseconds, by default on this machine's clock.
    """
    return f"{prefix}{time.time_ns() // 1_000_000 if now_ms is None else now_ms:012x}{random_digits()}"


def random_digits() -> str:
    """Return the 20 hexadecimal digits that follow the time in a UUIDv7."""
    value = int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return f"{value:020x}"


def id_created_at(prefix: str, text: str) -> datetime | None:
    """Return the creation time that is part of an ID; None if it is no valid ID or has an impossible time."""
    if re.fullmatch(f"{prefix}[0-9a-f]{{32}}", text) is None:
        return None
    try:
        return datetime.fromtimestamp(int(text.removeprefix(prefix)[:12], 16) / 1000, UTC)
    except (ValueError, OverflowError):
        return None
