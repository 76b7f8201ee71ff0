"""Declares each parameter of a video once: its name, type, range, default and description.

The API, its document and the client's types follow from these models, as do the options of the command line, the
defaults, checks and documentation of the pipeline's calls, and the playground's controls. Parameters that only one of
them has, such as the API's webhooks, are declared there.

A default of None is filled in later, as the description says, from the model's card, the picture or other parameters.
"""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, model_validator

from cinemo_spec.formats import (
    DEFAULT_FPS,
    MAX_FPS,
    MAX_SIDE,
    MIN_FPS,
    MIN_SIDE,
    VIDEO_MULTIPLE,
    Detail,
    default_edit_factor,
    default_factor,
    source_fps,
)
from cinemo_spec.strict import StrictModel

MAX_INTENSITY = 19
MAX_ADAPTERS = 4

Fit = Literal["crop", "pad"]
FirstFrame = Literal["photo", "decoded"]
SamplerName = Literal["ddim", "unipc", "dpm++"]

# DDIM divides 1000 timesteps by a whole stride: with more steps, it would start too late or beyond the last one.
Steps = Annotated[int, Field(ge=1, le=500)]
Guidance = Annotated[FiniteFloat, Field(ge=1, le=30)]
Intensity = Annotated[FiniteFloat, Field(ge=0, le=MAX_INTENSITY)]
Bucket = Annotated[FiniteFloat, Field(ge=0, le=1000)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Frames = Annotated[int, Field(ge=8, le=32)]
Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE, multiple_of=VIDEO_MULTIPLE)]
Factor = Annotated[int, Field(ge=1, le=3)]
Fps = Annotated[FiniteFloat, Field(ge=MIN_FPS, le=MAX_FPS)]


class Parameters(StrictModel):
    """Base of the declarations."""


class AdapterChoice(StrictModel):
    """An adapter and its weight; in text, as in forms and on the command line, `MODEL` or `MODEL=WEIGHT`."""

    model: str = Field(min_length=1, max_length=200, description="An adapter from `GET /models`.")
    weight: FiniteFloat = Field(1, ge=-2, le=2, description="1 is the adapter as it was trained, 0 leaves it out.")

    @model_validator(mode="before")
    @classmethod
    def read_text(cls, given: object) -> object:
        """Read the text form; a name has no `=`."""
        if not isinstance(given, str):
            return given
        model, _, weight = given.strip().partition("=")
        try:
            return {"model": model, "weight": float(weight or 1)}
        except ValueError:
            raise ValueError(f"{weight!r} is not a number; expected MODEL=WEIGHT") from None


class ClipParameters(Parameters):
    """Parameters shared by animations and edits."""

    adapters: tuple[AdapterChoice, ...] = Field(
        (),
        max_length=MAX_ADAPTERS,
        description=f"Adapters to apply on top of `model`, up to {MAX_ADAPTERS}, weighted from -2 to 2. Their "
        "base must be `model`, or if that is an adapter itself, its base.",
    )
    detail: Detail = Field(
        "photo",
        description="`photo`: the model decides what moves and how the light changes, and the photo supplies the "
        "detail, at any size. `off`: only the model's own output, at a size the model supports.",
    )
    width: Side | None = Field(
        None,
        description="Width of the video in pixels. If you omit one side, it follows the photo's aspect ratio; if you "
        "omit both, the video is as large as the photo, up to 1280 × 720, or 720 × 1280 for portrait photos. With "
        "`detail` `off`: multiples of 8, and either both sides or neither, for the model's own size.",
    )
    height: Side | None = Field(None, description="Height of the video; see `width`.")
    fit: Fit = Field(
        "crop",
        description="`crop` fills the frame and cuts off the rest; `pad` keeps the whole picture between black bars.",
    )
    first_frame: FirstFrame = Field(
        "photo",
        description="`photo` keeps the photo's own pixels. `decoded`, with `detail` `off`, decodes the first frame "
        "with the model like all the others, so that a looping video doesn't jump after it.",
    )
    motion_bucket_id: Bucket | None = Field(None, description="The model's own motion bucket; overrides the intensity.")
    noise_cutoff: FiniteFloat = Field(0.23, ge=0, le=1, description="Share of the frequencies that DCTInit uses.")
    noise_level: int = Field(975, ge=0, le=999, description="Timestep to which DCTInit adds noise to the picture.")


class AnimateParameters(ClipParameters):
    """Parameters of an animation, which turns a photo and a prompt into a video."""

    negative_prompt: str = Field("", description="What guidance steers away from.")
    motion_intensity: Intensity = Field(10, description="0 (still) to 19 (strong), comparable across models.")
    seed: Seed = Field(0, description="The same seed gives the same video.")
    num_inference_steps: Steps | None = Field(None, description="Denoising steps; defaults to the model's own number.")
    guidance_scale: Guidance | None = Field(None, description="1 disables guidance; defaults to the model's own value.")
    guidance_rescale: FiniteFloat = Field(
        0,
        ge=0,
        le=1,
        description="How far guided predictions are scaled back to the contrast of unguided ones; avoids overexposed, "
        "oversaturated frames at high guidance. 0 disables it, 0.7 is usual.",
    )
    noise_refinement: bool = Field(True, description="DCTInit: start from the picture's low frequencies.")
    sampler: SamplerName = Field("ddim", description="`ddim` is the published sampler; the others need fewer steps.")
    cache_interval: int = Field(1, ge=1, le=10, description="Compute deep features only every Nth step; 1 is exact.")
    frames: Frames = Field(16, description="Frames per clip.")
    clips: int = Field(
        1,
        ge=1,
        le=16,
        description="Number of consecutive clips, each starting from the last frame of the previous one.",
    )
    fps: Fps = Field(
        DEFAULT_FPS,
        description="Frames per second from the model; the video plays `frame_rate_factor` times as many.",
    )
    frame_rate_factor: Factor | None = Field(
        None,
        description="Video frames per model frame. Defaults to 3 if that is within 60 frames per second; always 1 "
        "with `detail` `off`.",
    )

    @property
    def factor(self) -> int:
        """Video frames per model frame after the first."""
        return default_factor(self.detail, self.fps) if self.frame_rate_factor is None else self.frame_rate_factor

    @property
    def video_fps(self) -> float:
        """The video's frames per second."""
        return self.fps * self.factor

    @property
    def total_frames(self) -> int:
        """Number of model frames: consecutive clips share a frame."""
        return 1 + self.clips * (self.frames - 1)

    @property
    def video_frames(self) -> int:
        """Number of video frames."""
        return 1 + self.factor * (self.total_frames - 1)


class EditParameters(ClipParameters):
    """Parameters of an edit, which applies a video's motion to another first frame."""

    source_prompt: str | None = Field(
        None, description="What happens in the source video, for its inversion; defaults to `prompt`."
    )
    motion_intensity: Intensity | None = Field(
        None, description="Motion intensity of both videos; measured from the source video by default."
    )
    num_inference_steps: Steps | None = Field(
        None,
        description="Steps of the inversion, and again of the animation; defaults to the model's own number.",
    )
    noise_refinement: bool = Field(False, description="DCTInit of the inverted noise, from the picture.")
    frames: Frames = Field(16, description="Number of frames to use from the video.")
    frame_interval: int = Field(1, ge=1, le=100, description="Use every Nth frame of the video.")
    fps: Fps | None = Field(
        None,
        description="Frames per second from the model; by default, the clip moves as fast as its source, with at most "
        "100 frames per second.",
    )
    frame_rate_factor: Factor | None = Field(
        None,
        description="Video frames per model frame. Defaults to 3 with `fps`, if that is within 60 frames per second; "
        "without `fps`, to `frame_interval`, at most 3. Always 1 with `detail` `off`.",
    )

    @property
    def factor(self) -> int:
        """Video frames per model frame after the first."""
        if self.frame_rate_factor is not None:
            return self.frame_rate_factor
        if self.fps is not None:
            return default_factor(self.detail, self.fps)
        return default_edit_factor(self.detail, self.frame_interval)

    def fps_after(self, source_rate: float) -> float:
        """The video's frames per second, given those of the source."""
        if self.fps is not None:
            return self.fps * self.factor
        return source_fps(source_rate, self.frame_interval, self.factor)

    @property
    def total_frames(self) -> int:
        """Number of model frames."""
        return self.frames

    @property
    def video_frames(self) -> int:
        """Number of video frames."""
        return 1 + self.factor * (self.total_frames - 1)


class DecodingParameters(Parameters):
    """Parameters of the library and its command line only; workers choose these by their memory."""

    decode_chunk_frames: int = Field(
        16, ge=1, le=512, description="Number of frames that the VAE decodes at once; fewer need less memory."
    )


ANIMATE = AnimateParameters()
EDIT = EditParameters()
DECODING = DecodingParameters()
"""The defaults."""
