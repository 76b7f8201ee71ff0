"""What a job can be given, as keyword arguments that editors and type checkers know.

Generated from `docs/openapi.json` by `make generate`: do not edit.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict


class AnimateParameters(TypedDict, total=False):
    """Fields of `POST /animate`."""

    model: str
    """One of `GET /models`; the service's own if not given."""
    num_inference_steps: int
    """Denoising steps, 200 at most; the model's own number if not given."""
    frames: int
    """Frames of a clip; 128 at most in all clips."""
    detail: Literal["photo", "off"]
    """`photo`: the model decides what moves and how light changes, the photo supplies the detail, at any size. `off`:
    what the model makes by itself, at a size that it works at, 1024 × 1024 in all at most."""
    width: int | None
    """Of the video, in pixels; 1920 × 1080 in all at most. A side that is not given follows the photo's shape; without
    both, the video is as large as the photo, within 1280 × 720, or 720 × 1280 for an upright one. With `detail` `off`:
    multiples of 8, both sides, or neither for the model's own."""
    height: int | None
    """Likewise."""
    fit: Literal["crop", "pad"]
    """`crop` fills the frame and cuts what stands over, `pad` keeps all between black bars."""
    fps: int
    """Of the model's frames, a second; the video plays `frame_rate_factor` times as many."""
    frame_rate_factor: int | None
    """Frames of the video for each of the model's. If not given: 3, where that is within 60 a second; 1 with `detail`
    `off`, which can have no more."""
    format: Literal["mp4", "webm", "gif", "webp"]
    """H.264, VP9, or an animated picture."""
    first_frame: Literal["photo", "decoded"]
    """`photo` is the photo's own pixels. `decoded`, with `detail` `off`, is what the model's decoder makes of them, as
    of all other frames, so that a video that plays in a loop does not jump after its first."""
    negative_prompt: str
    """What guidance leads away from; up to 1000 code points."""
    motion_intensity: int
    """0 (still) to 19 (strong), the same for every model."""
    motion_bucket_id: float | None
    """The model's own motion bucket, in place of the intensity."""
    seed: int
    """Same seed, same video; drawn at random if not given."""
    guidance_scale: float
    """1 is no guidance; the model's own if not given."""
    noise_refinement: bool
    """DCTInit: start from the picture's low frequencies."""
    noise_cutoff: float
    """Share of the frequencies that DCTInit takes."""
    noise_level: int
    """Timestep to which DCTInit noises the picture."""
    sampler: Literal["ddim", "unipc", "dpm++"]
    """`ddim` is as published; the others need fewer steps."""
    cache_interval: int
    """1 is exact; above, deep features are computed in every so many steps only."""
    clips: int
    """Clips in a row, each from the last frame of the one before."""
    webhook_url: str | None
    """Where to tell of the job, beside the tenant's own endpoints."""
    webhook_events: Sequence[Literal["job.running", "job.succeeded", "job.failed", "job.canceled", "job.expired"]]
    """Of what to tell there. JSON in forms."""
    metadata: Mapping[str, str]
    """Yours: up to 50 names with texts of up to 500 code points, given back with the job and in each webhook. JSON in
    forms."""
    priority: int
    """Higher goes first among your own waiting jobs."""
    reuse: bool
    """Give the output of an equal job again, where there is one."""


class EditParameters(TypedDict, total=False):
    """Fields of `POST /edit`."""

    model: str
    """One of `GET /models`; the service's own if not given."""
    num_inference_steps: int
    """Of the inversion, and again of the animation."""
    frames: int
    """Frames of a clip; 128 at most in all clips."""
    detail: Literal["photo", "off"]
    """`photo`: the model decides what moves and how light changes, the photo supplies the detail, at any size. `off`:
    what the model makes by itself, at a size that it works at, 1024 × 1024 in all at most."""
    width: int | None
    """Of the video, in pixels; 1920 × 1080 in all at most. A side that is not given follows the photo's shape; without
    both, the video is as large as the photo, within 1280 × 720, or 720 × 1280 for an upright one. With `detail` `off`:
    multiples of 8, both sides, or neither for the model's own."""
    height: int | None
    """Likewise."""
    fit: Literal["crop", "pad"]
    """`crop` fills the frame and cuts what stands over, `pad` keeps all between black bars."""
    fps: int | None
    """Of the model's frames, a second; if not given, the clip moves as fast as its source, at 100 frames a second at
    most."""
    frame_rate_factor: int | None
    """Frames of the video for each of the model's. If not given: with `fps` 3, where that is within 60 a second;
    without, as many as `frame_interval`, 3 at most; 1 with `detail` `off`, which can have no more."""
    format: Literal["mp4", "webm", "gif", "webp"]
    """H.264, VP9, or an animated picture."""
    first_frame: Literal["photo", "decoded"]
    """`photo` is the photo's own pixels. `decoded`, with `detail` `off`, is what the model's decoder makes of them, as
    of all other frames, so that a video that plays in a loop does not jump after its first."""
    prompt: str
    """What happens; may be empty, as the noise carries the motion."""
    source_prompt: str | None
    """What happens in the source video, for its inversion; the prompt if not given."""
    motion_intensity: int | None
    """Of both; measured from the video if not given."""
    motion_bucket_id: float | None
    """The model's own motion bucket, in place of the intensity."""
    noise_refinement: bool
    """DCTInit of the inverted noise, by the picture."""
    noise_cutoff: float
    """Share of the frequencies that DCTInit takes."""
    noise_level: int
    """Timestep to which DCTInit noises the picture."""
    frame_interval: int
    """Take every so manieth frame of the video."""
    webhook_url: str | None
    """Where to tell of the job, beside the tenant's own endpoints."""
    webhook_events: Sequence[Literal["job.running", "job.succeeded", "job.failed", "job.canceled", "job.expired"]]
    """Of what to tell there. JSON in forms."""
    metadata: Mapping[str, str]
    """Yours: up to 50 names with texts of up to 500 code points, given back with the job and in each webhook. JSON in
    forms."""
    priority: int
    """Higher goes first among your own waiting jobs."""
    reuse: bool
    """Give the output of an equal job again, where there is one."""
