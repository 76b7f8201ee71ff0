"""The job: its states, its parts as they are stored, and the one table of its transitions."""

import os
import time
import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

MAX_PROMPT_CODE_POINTS = 1000
MAX_SEED = 2**32 - 1
MAX_INTENSITY = 19


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    """Accepted; its input is stored."""
    RUNNING = "running"
    """A worker has taken it."""
    CANCELING = "canceling"
    """Asked to stop; the worker has not yet."""
    SUCCEEDED = "succeeded"
    """Its video is in the storage."""
    FAILED = "failed"
    """It ended without a video; `error` says why."""
    CANCELED = "canceled"
    """It ended because somebody asked."""
    EXPIRED = "expired"
    """Its deadline passed before it started."""


class JobEvent(StrEnum):
    """What moves a job from one state to the next."""

    TAKE = "take"
    PROGRESS = "progress"
    SUCCEED = "succeed"
    FAIL = "fail"


TRANSITIONS: dict[tuple[JobStatus, JobEvent], JobStatus] = {
    (JobStatus.QUEUED, JobEvent.TAKE): JobStatus.RUNNING,
    (JobStatus.QUEUED, JobEvent.FAIL): JobStatus.FAILED,
    (JobStatus.RUNNING, JobEvent.PROGRESS): JobStatus.RUNNING,
    (JobStatus.RUNNING, JobEvent.SUCCEED): JobStatus.SUCCEEDED,
    (JobStatus.RUNNING, JobEvent.FAIL): JobStatus.FAILED,
}


def clean_text(text: str) -> str:
    """NFC-normalise a prompt; refuse what no text encoder can read."""
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise ValueError("must not hold lone surrogates")
    text = unicodedata.normalize("NFC", text)
    if len(text) > MAX_PROMPT_CODE_POINTS:
        raise ValueError(f"must have at most {MAX_PROMPT_CODE_POINTS} code points, has {len(text)}")
    return text


def require_words(text: str) -> str:
    """Refuse a prompt of nothing but white space."""
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Text = Annotated[str, AfterValidator(clean_text)]
Prompt = Annotated[Text, AfterValidator(require_words)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AnimateRequest(Part):
    """An animate job as accepted, defaults filled in."""

    prompt: Prompt = Field(description="What happens in the video.", examples=["the camera pans left"])
    negative_prompt: Text = Field("", description="What guidance leads away from.")
    motion_intensity: int = Field(10, ge=0, le=MAX_INTENSITY, description="0 (still) to 19 (strong).")
    seed: int = Field(ge=0, le=MAX_SEED, description="Same seed, same video; drawn at random if not given.")
    num_inference_steps: int = Field(ge=1, description="Denoising steps.")
    guidance_scale: FiniteFloat = Field(ge=1, le=30, description="1 is no guidance.")
    noise_refinement: bool = Field(True, description="DCTInit: start from the picture's low frequencies.")
    model: str = Field(description="The model that animates.")


class Progress(Part):
    """Denoising steps done."""

    step: int
    steps: int
    fraction: float = Field(ge=0, le=1)
    message: str


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
    """What a succeeded job left in the storage."""

    video: StoredVideo
    poster: StoredFile
    manifest: StoredFile


class JobError(Part):
    """Why a job failed."""

    code: str = Field(examples=["WORKER.LOST"])
    message: str
    retryable: bool


class JobMetrics(Part):
    """Where the time went, in milliseconds; `gpu_ms` is the model's own share, on whatever device it ran."""

    queue_ms: int | None = None
    execution_ms: int | None = None
    gpu_ms: int | None = None


class Job(Part):
    """The record of a job."""

    id: str
    kind: Literal["animate"] = "animate"
    status: JobStatus = JobStatus.QUEUED
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime
    queue_position: int | None = None
    attempt: int = 0
    worker: str | None = None
    input_key: str
    request: AnimateRequest
    progress: Progress | None = None
    output: JobOutput | None = None
    error: JobError | None = None
    metrics: JobMetrics = JobMetrics()


def new_job_id() -> str:
    """`job_` and a UUIDv7 (RFC 9562, section 5.7) in hexadecimal: ids sort by the time they were made."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return f"job_{value:032x}"
