"""The record of a job, as it is stored."""

import os
import re
import time
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from cinemo_spec.training import TrainConfig
from service.contract.requests import AnimateRequest, EditRequest, JobOptions, Part
from service.contract.states import ENDED, JobStatus

JobKind = Literal["animate", "edit", "train"]
DEFAULT_TENANT = "default"


REQUESTS: dict[JobKind, type[AnimateRequest | EditRequest | TrainConfig]] = {
    "animate": AnimateRequest,
    "edit": EditRequest,
    "train": TrainConfig,
}
"""What each kind of job is asked for."""


class Progress(Part):
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


class StoredFile(Part):
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


class JobOutput(Part):
    """What a job that makes a clip left in the storage."""

    video: StoredVideo
    poster: StoredFile
    manifest: StoredFile
    digital_source_type: str | None = None


class ModelOutput(Part):
    """Output of a succeeded training job: a model name that you can pass to `POST /animate`."""

    model: str = Field(examples=["waves@3f0c9a5b21de"])
    first_loss: float
    last_loss: float


class Sample(Part):
    """A clip generated during training with the averaged weights after a step."""

    step: int
    video: StoredFile
    poster: StoredFile


class DatasetReport(Part):
    """What a look at the training data told; `buckets` counts the looked-at clips by motion bucket, 0 to 19."""

    videos: int
    captioned: int | None = Field(None, description="How many of the videos have a caption; null before it was told.")
    sampled: int
    broken: dict[str, str] = Field(description="Videos that cannot be used, and why; the first hundred.")
    buckets: tuple[int, ...]
    histogram: StoredFile
    notes: tuple[str, ...] = Field((), description="What else was found, as videos that are left out, a sentence each.")


SAMPLED_STEPS = 50
"""Of which the record has samples: it is written at each report, and read and presigned at each look."""


class Training(Part):
    """What a training job stores while it runs."""

    dataset: DatasetReport | None = None
    checkpoint_step: int | None = Field(None, description="The step it would resume from if its worker died now.")
    samples: tuple[Sample, ...] = ()
    tensorboard: tuple[StoredFile, ...] = ()

    def samples_with(self, made: list[Sample]) -> tuple[Sample, ...]:
        """The samples of the newest steps; those just made take the place of earlier ones of their step."""
        anew = {each.step for each in made}
        samples = (*(each for each in self.samples if each.step not in anew), *made)
        told = sorted({each.step for each in samples})[-SAMPLED_STEPS:]
        return tuple(each for each in samples if each.step in told)


class JobError(Part):
    """Why a job failed."""

    code: str = Field(
        description="Machine-readable code of the failure; values may be added.", examples=["WORKER.LOST"]
    )
    message: str = Field(description="What was received and what is allowed.")
    retryable: bool = Field(description="Whether the same job may succeed if sent again.")


class JobMetrics(Part):
    """Timings in milliseconds; `gpu_ms` is the model's share, on whatever device it ran."""

    queue_ms: int | None = None
    execution_ms: int | None = None
    gpu_ms: int | None = None


class Job(Part):
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
        """The model that the job uses: that animates, or that training starts from."""
        return self.request.base_model if isinstance(self.request, TrainConfig) else self.request.model

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Event(Part):
    """An event of a job; IDs increase."""

    id: str
    type: str = Field(examples=["job.running", "progress", "sample"])
    at: datetime
    data: dict[str, object]


def new_job_id(now_ms: int | None = None) -> str:
    """An id for a job that is made now, by whichever clock in milliseconds tells; this machine's if none does."""
    return new_id("job_", now_ms)


def job_made_at(job_id: str) -> datetime:
    """When a job was made, by the clock that its id was made by."""
    made = made_at("job_", job_id)
    assert made is not None
    return made


def new_id(prefix: str, now_ms: int | None = None) -> str:
    """A prefix and a UUIDv7 (RFC 9562, section 5.7) in hexadecimal: ids sort by the time they were made."""
    milliseconds = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return f"{prefix}{value:032x}"


def made_at(prefix: str, text: str) -> datetime | None:
    """When an id was made; None for what is none, as one of a year that has no date."""
    if re.fullmatch(f"{prefix}[0-9a-f]{{32}}", text) is None:
        return None
    try:
        return datetime.fromtimestamp(int(text.removeprefix(prefix)[:12], 16) / 1000, UTC)
    except (ValueError, OverflowError):
        return None
