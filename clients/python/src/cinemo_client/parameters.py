"""The parameters of jobs, typed as keyword arguments for editors and type checkers.

Generated from `docs/openapi.json` by `make generate`: do not edit.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict


class AnimateParameters(TypedDict, total=False):
    """Fields of `POST /animate`."""

    adapters: Sequence[Mapping[str, str | float]]
    """Adapters to apply on top of `model`, up to 4, weighted from -2 to 2. Their base must be `model`, or if that is an
    adapter itself, its base."""
    detail: Literal["photo", "off"]
    """`photo`: the model decides what moves and how the light changes, and the photo supplies the detail, at any size.
    `off`: only the model's own output, at a size the model supports. With `off`, at most 1,048,576 pixels, width times
    height."""
    width: int | None
    """Width of the video in pixels. If you omit one side, it follows the photo's aspect ratio; if you omit both, the
    video is as large as the photo, up to 1280 × 720, or 720 × 1280 for portrait photos. With `detail` `off`: multiples
    of 8, and either both sides or neither, for the model's own size. At most 2,073,600 pixels, width times height, and
    536,870,912 in all frames together."""
    height: int | None
    """Height of the video; see `width`."""
    fit: Literal["crop", "pad"]
    """`crop` fills the frame and cuts off the rest; `pad` keeps the whole picture between black bars."""
    first_frame: Literal["photo", "decoded"]
    """`photo` keeps the photo's own pixels. `decoded`, with `detail` `off`, decodes the first frame with the model like
    all the others, so that a looping video doesn't jump after it."""
    motion_bucket_id: float | None
    """The model's own motion bucket; overrides the intensity."""
    noise_cutoff: float
    """Share of the frequencies that DCTInit uses."""
    noise_level: int
    """Timestep to which DCTInit adds noise to the picture."""
    model: str
    """A model from `GET /models`; defaults to the service's own."""
    format: Literal["mp4", "webm", "gif", "webp"]
    """H.264 (`mp4`), VP9 (`webm`) or an animated picture."""
    negative_prompt: str
    """What guidance steers away from. At most 1000 code points."""
    motion_intensity: float
    """0 (still) to 19 (strong), comparable across models."""
    seed: int
    """The same seed gives the same video. Random by default."""
    num_inference_steps: int
    """Denoising steps; defaults to the model's own number."""
    guidance_scale: float
    """1 disables guidance; defaults to the model's own value."""
    guidance_rescale: float
    """How far guided predictions are scaled back to the contrast of unguided ones; avoids overexposed, oversaturated
    frames at high guidance. 0 disables it, 0.7 is usual."""
    noise_refinement: bool
    """DCTInit: start from the picture's low frequencies."""
    sampler: Literal["ddim", "unipc", "dpm++"]
    """`ddim` is the published sampler; the others need fewer steps."""
    cache_interval: int
    """Compute deep features only every Nth step; 1 is exact."""
    frames: int
    """Frames per clip. At most 128 per job."""
    clips: int
    """Number of consecutive clips, each starting from the last frame of the previous one."""
    fps: float
    """Frames per second from the model; the video plays `frame_rate_factor` times as many."""
    frame_rate_factor: int | None
    """Video frames per model frame. Defaults to 3 if that is within 60 frames per second; always 1 with `detail`
    `off`."""
    webhook_url: str | None
    """Webhook URL for this job, in addition to the tenant's endpoints."""
    webhook_events: Sequence[
        Literal[
            "job.running",
            "job.succeeded",
            "job.failed",
            "job.canceled",
            "job.expired",
            "video.completed",
            "video.failed",
        ]
    ]
    """Events to send to it. In forms, a JSON array."""
    metadata: Mapping[str, str]
    """Your own data: up to 50 names with texts of up to 500 code points, returned with the job and in each webhook. In
    forms, a JSON object."""
    priority: int
    """Among your own queued jobs, higher priorities run first."""
    reuse: bool
    """Reuse the output of an identical job if one exists."""
    preview: bool
    """Make up to four small previews of the video while the model runs: events of type `preview`, and the latest at
    `GET /jobs/<id>/preview`. Fewer, or none, if they would take more than 2 % of the time of the steps. No effect on
    training jobs, which store samples."""


class EditParameters(TypedDict, total=False):
    """Fields of `POST /edit`."""

    prompt: str
    """What happens; may be empty, because the noise carries the motion."""
    adapters: Sequence[Mapping[str, str | float]]
    """Adapters to apply on top of `model`, up to 4, weighted from -2 to 2. Their base must be `model`, or if that is an
    adapter itself, its base."""
    detail: Literal["photo", "off"]
    """`photo`: the model decides what moves and how the light changes, and the photo supplies the detail, at any size.
    `off`: only the model's own output, at a size the model supports. With `off`, at most 1,048,576 pixels, width times
    height."""
    width: int | None
    """Width of the video in pixels. If you omit one side, it follows the photo's aspect ratio; if you omit both, the
    video is as large as the photo, up to 1280 × 720, or 720 × 1280 for portrait photos. With `detail` `off`: multiples
    of 8, and either both sides or neither, for the model's own size. At most 2,073,600 pixels, width times height, and
    536,870,912 in all frames together."""
    height: int | None
    """Height of the video; see `width`."""
    fit: Literal["crop", "pad"]
    """`crop` fills the frame and cuts off the rest; `pad` keeps the whole picture between black bars."""
    first_frame: Literal["photo", "decoded"]
    """`photo` keeps the photo's own pixels. `decoded`, with `detail` `off`, decodes the first frame with the model like
    all the others, so that a looping video doesn't jump after it."""
    motion_bucket_id: float | None
    """The model's own motion bucket; overrides the intensity."""
    noise_cutoff: float
    """Share of the frequencies that DCTInit uses."""
    noise_level: int
    """Timestep to which DCTInit adds noise to the picture."""
    model: str
    """A model from `GET /models`; defaults to the service's own."""
    format: Literal["mp4", "webm", "gif", "webp"]
    """H.264 (`mp4`), VP9 (`webm`) or an animated picture."""
    source_prompt: str | None
    """What happens in the source video, for its inversion; defaults to `prompt`. At most 1000 code points."""
    motion_intensity: float | None
    """Motion intensity of both videos; measured from the source video by default."""
    num_inference_steps: int
    """Steps of the inversion, and again of the animation; defaults to the model's own number."""
    noise_refinement: bool
    """DCTInit of the inverted noise, from the picture."""
    frames: int
    """Number of frames to use from the video. At most 128 per job."""
    frame_interval: int
    """Use every Nth frame of the video."""
    fps: float | None
    """Frames per second from the model; by default, the clip moves as fast as its source, with at most 100 frames per
    second."""
    frame_rate_factor: int | None
    """Video frames per model frame. Defaults to 3 with `fps`, if that is within 60 frames per second; without `fps`, to
    `frame_interval`, at most 3. Always 1 with `detail` `off`."""
    webhook_url: str | None
    """Webhook URL for this job, in addition to the tenant's endpoints."""
    webhook_events: Sequence[
        Literal[
            "job.running",
            "job.succeeded",
            "job.failed",
            "job.canceled",
            "job.expired",
            "video.completed",
            "video.failed",
        ]
    ]
    """Events to send to it. In forms, a JSON array."""
    metadata: Mapping[str, str]
    """Your own data: up to 50 names with texts of up to 500 code points, returned with the job and in each webhook. In
    forms, a JSON object."""
    priority: int
    """Among your own queued jobs, higher priorities run first."""
    reuse: bool
    """Reuse the output of an identical job if one exists."""
    preview: bool
    """Make up to four small previews of the video while the model runs: events of type `preview`, and the latest at
    `GET /jobs/<id>/preview`. Fewer, or none, if they would take more than 2 % of the time of the steps. No effect on
    training jobs, which store samples."""
