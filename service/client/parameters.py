"""What may be asked of a job beside its picture and prompt, as keyword arguments that editors and type checkers know.

Held to the request models by a test; what each means stands there and in docs/api.md.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from cinemo_core.formats import Detail
from service.jobs.requests import VideoFormat, WebhookEvent


class JobParameters(TypedDict, total=False):
    """Of every job."""

    webhook_url: str | None
    webhook_events: Sequence[WebhookEvent]
    metadata: Mapping[str, str]
    priority: int
    reuse: bool


class ClipParameters(JobParameters, total=False):
    """Of a job that makes a clip."""

    model: str
    num_inference_steps: int
    frames: int
    detail: Detail
    width: int | None
    height: int | None
    fit: Literal["crop", "pad"]
    fps: int
    frame_rate_factor: int | None
    format: VideoFormat
    first_frame: Literal["photo", "decoded"]


class AnimateParameters(ClipParameters, total=False):
    """Of `POST /animate`."""

    negative_prompt: str
    motion_intensity: int
    motion_bucket_id: float | None
    seed: int
    guidance_scale: float
    noise_refinement: bool
    noise_cutoff: float
    noise_level: int
    sampler: Literal["ddim", "unipc", "dpm++"]
    cache_interval: int
    clips: int


class EditParameters(ClipParameters, total=False):
    """Of `POST /edit`."""

    prompt: str
    source_prompt: str | None
    motion_intensity: int | None
    motion_bucket_id: float | None
    noise_refinement: bool
    noise_cutoff: float
    noise_level: int
    frame_interval: int
