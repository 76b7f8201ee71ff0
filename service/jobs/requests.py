"""What a job is asked to do, as accepted: defaults filled in, text normalised."""

import re
import unicodedata
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from cinemo_core.formats import (
    LEAST_SIDE,
    MODEL_MULTIPLE,
    MOST_SIDE,
    MOST_USUAL_FPS,
    USUAL_FPS,
    VIDEO_MULTIPLE,
    Detail,
    source_fps,
    usual_edit_factor,
    usual_factor,
)

MOST_FPS = MOST_USUAL_FPS
MAX_PROMPT_CODE_POINTS = 1000
LONGEST_DECOMPOSITION = 4
"""Code points that become one by NFC, at most (Unicode FAQ on normalization)."""
MOST_MARKS = 30
"""Of the Stream-Safe Text Format (UAX #15, section 13)."""
SURROGATE = re.compile("[\ud800-\udfff]")
MAX_SEED = 2**32 - 1
MAX_INTENSITY = 19
MAX_CLIPS = 16
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They make text look like other text wherever it is shown, and no text encoder reads them."""


def clean_text(text: str) -> str:
    """NFC-normalise a prompt; refuse what no text encoder can read, and what takes long to normalise, beforehand."""
    if len(text) > LONGEST_DECOMPOSITION * MAX_PROMPT_CODE_POINTS:
        raise ValueError(f"must have at most {MAX_PROMPT_CODE_POINTS} code points, has {len(text)}")
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    if SURROGATE.search(text):
        raise ValueError("must not hold lone surrogates")
    if not BIDI_CONTROLS.isdisjoint(text):
        raise ValueError("must not hold bidirectional control characters")
    if has_heap_of_marks(text):
        raise ValueError(f"must not hold more than {MOST_MARKS} combining marks in a row")
    text = unicodedata.normalize("NFC", text)
    if len(text) > MAX_PROMPT_CODE_POINTS:
        raise ValueError(f"must have at most {MAX_PROMPT_CODE_POINTS} code points, has {len(text)}")
    return text


def has_heap_of_marks(text: str) -> bool:
    """Whether more marks stand on one character than any script puts there; ordering them takes quadratic work."""
    run = 0
    for character in "" if text.isascii() else text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MOST_MARKS:
            return True
    return False


def require_words(text: str) -> str:
    """Refuse a prompt of nothing but white space."""
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Text = Annotated[str, AfterValidator(clean_text)]


def clean_prompts(given: object) -> str | tuple[str, ...]:
    """One prompt, or one for each clip, all of them cleaned; what is wrong is one error of the whole field."""
    if isinstance(given, str):
        return require_words(clean_text(given))
    if not isinstance(given, list | tuple) or not given or not all(isinstance(each, str) for each in given):
        raise ValueError("must be text, or an array with the text of each clip")
    if len(given) > MAX_CLIPS:
        raise ValueError(f"must be of {MAX_CLIPS} clips at most, is of {len(given)}")
    return tuple(require_words(clean_text(each)) for each in given)


Prompts = Annotated[str | tuple[str, ...], BeforeValidator(clean_prompts)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


WebhookEvent = Literal["job.running", "job.succeeded", "job.failed", "job.canceled", "job.expired"]
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
FINAL_EVENTS: tuple[WebhookEvent, ...] = ("job.succeeded", "job.failed", "job.canceled", "job.expired")
MAX_METADATA = 50

Url = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,2048}$")]
MetadataName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
MetadataText = Annotated[Text, StringConstraints(max_length=500)]


class JobOptions(Part):
    """What a client may ask of any job, whatever the job does."""

    webhook_url: Url | None = Field(None, description="Where to tell of the job, beside the tenant's own endpoints.")
    webhook_events: tuple[WebhookEvent, ...] = Field(
        FINAL_EVENTS, max_length=len(WEBHOOK_EVENTS), description="Of what to tell there. JSON in forms."
    )
    metadata: dict[MetadataName, MetadataText] = Field(
        {},
        max_length=MAX_METADATA,
        description="Yours: up to 50 names with texts of up to 500 code points, given back with the job and in each "
        "webhook. JSON in forms.",
    )
    priority: int = Field(0, ge=-100, le=100, description="Higher goes first among your own waiting jobs.")
    reuse: bool = Field(True, description="Give the output of an equal job again, where there is one.")


Side = Annotated[int, Field(ge=LEAST_SIDE, le=MOST_SIDE, multiple_of=VIDEO_MULTIPLE)]
Intensity = Annotated[int, Field(ge=0, le=MAX_INTENSITY)]
ModelReference = Annotated[str, StringConstraints(min_length=1, max_length=200)]
VideoFormat = Literal["mp4", "webm", "gif", "webp"]


class ClipRequest(Part):
    """What every job that makes a clip is asked for."""

    model: ModelReference = Field(description="One of `GET /models`; the service's own if not given.")
    num_inference_steps: int = Field(
        ge=1, description="Denoising steps, 200 at most; the model's own number if not given."
    )
    frames: int = Field(16, ge=8, le=32, description="Frames of a clip; 128 at most in all clips.")
    detail: Detail = Field(
        "photo",
        description="`photo`: the model decides what moves and how light changes, the photo supplies the detail, at "
        "any size. `off`: what the model makes by itself, at a size that it works at, 1024 × 1024 in all at most.",
    )
    width: Side | None = Field(
        None,
        description="Of the video, in pixels; 1920 × 1080 in all at most. A side that is not given follows the photo's "
        "shape; without both, the video is as large as the photo, within 1280 × 720, or 720 × 1280 for an upright one. "
        "With `detail` `off`: multiples of 8, both sides, or neither for the model's own.",
    )
    height: Side | None = Field(None, validate_default=True, description="Likewise.")
    fit: Literal["crop", "pad"] = Field(
        "crop", description="`crop` fills the frame and cuts what stands over, `pad` keeps all between black bars."
    )
    fps: int = Field(
        USUAL_FPS,
        ge=1,
        le=MOST_FPS,
        description="Of the model's frames, a second; the video plays `frame_rate_factor` times as many.",
    )
    frame_rate_factor: int | None = Field(
        None,
        ge=1,
        le=3,
        validate_default=True,
        description="Frames of the video for each of the model's. If not given: 3, where that is within 60 a second; 1 "
        "with `detail` `off`, which can have no more.",
    )
    format: VideoFormat = Field("mp4", description="H.264, VP9, or an animated picture.")
    first_frame: Literal["photo", "decoded"] = Field(
        "photo",
        validate_default=True,
        description="`photo` is the photo's own pixels. `decoded`, with `detail` `off`, is what the model's decoder "
        "makes of them, as of all other frames, so that a video that plays in a loop does not jump after its first.",
    )

    @field_validator("first_frame")
    @classmethod
    def require_frames_of_the_models(cls, first: str, given: ValidationInfo) -> str:
        if first == "decoded" and given.data.get("detail", "off") != "off":
            raise ValueError("must be photo unless detail is off")
        return first

    @field_validator("width", "height")
    @classmethod
    def require_a_models_side(cls, side: int | None, given: ValidationInfo) -> int | None:
        """Where the model's frames are the video, it must be able to make them."""
        if given.data.get("detail") == "off" and side is not None and side % MODEL_MULTIPLE:
            raise ValueError(f"must be a multiple of {MODEL_MULTIPLE} where detail is off")
        return side

    @field_validator("height")
    @classmethod
    def require_both_sides(cls, height: int | None, given: ValidationInfo) -> int | None:
        """One side alone would leave the other to the model, whose shape it need not fit."""
        if given.data.get("detail") != "off" or "width" not in given.data:
            return height
        if (given.data["width"] is None) != (height is None):
            raise ValueError("give width and height, or neither, where detail is off")
        return height

    @field_validator("frame_rate_factor")
    @classmethod
    def require_a_rate(cls, factor: int | None, given: ValidationInfo) -> int | None:
        if factor is None:
            return factor
        if factor > 1 and given.data.get("detail") == "off":
            raise ValueError("must be 1 where detail is off")
        if factor * (given.data.get("fps") or 1) > MOST_FPS:
            raise ValueError(f"fps times frame_rate_factor must be at most {MOST_FPS}")
        return factor

    @property
    def factor(self) -> int:
        """Frames of the video for each of the model's but the first."""
        return usual_factor(self.detail, self.fps) if self.frame_rate_factor is None else self.frame_rate_factor

    @property
    def video_fps(self) -> int:
        """Frames a second at which the video plays."""
        return self.fps * self.factor

    @property
    def video_frames(self) -> int:
        """Frames of the video."""
        return 1 + self.factor * (self.total_frames - 1)

    @property
    def total_frames(self) -> int:
        """Frames that the model makes: clips share the frame at which they meet."""
        return self.frames

    @property
    def total_steps(self) -> int:
        """Denoising steps."""
        return self.num_inference_steps


class AnimateRequest(ClipRequest):
    """An animate job as accepted, defaults filled in."""

    prompt: Prompts = Field(
        description="What happens in the video, in 1 to 1000 code points; an array of as many has one for each of "
        "`clips`. An array is JSON in forms.",
        examples=["the camera pans left"],
    )
    negative_prompt: Text = Field("", description="What guidance leads away from; up to 1000 code points.")
    motion_intensity: Intensity = Field(10, description="0 (still) to 19 (strong), the same for every model.")
    motion_bucket_id: FiniteFloat | None = Field(
        None, ge=0, le=1000, description="The model's own motion bucket, in place of the intensity."
    )
    seed: int = Field(ge=0, le=MAX_SEED, description="Same seed, same video; drawn at random if not given.")
    guidance_scale: FiniteFloat = Field(ge=1, le=30, description="1 is no guidance; the model's own if not given.")
    noise_refinement: bool = Field(True, description="DCTInit: start from the picture's low frequencies.")
    noise_cutoff: FiniteFloat = Field(0.23, ge=0, le=1, description="Share of the frequencies that DCTInit takes.")
    noise_level: int = Field(975, ge=0, le=999, description="Timestep to which DCTInit noises the picture.")
    sampler: Literal["ddim", "unipc", "dpm++"] = Field(
        "ddim", description="`ddim` is as published; the others need fewer steps."
    )
    cache_interval: int = Field(
        1, ge=1, le=10, description="1 is exact; above, deep features are computed in every so many steps only."
    )
    clips: int = Field(
        1,
        ge=1,
        le=MAX_CLIPS,
        validate_default=True,
        description="Clips in a row, each from the last frame of the one before.",
    )

    @field_validator("clips")
    @classmethod
    def require_a_prompt_each(cls, clips: int, given: ValidationInfo) -> int:
        prompt = given.data.get("prompt")
        if isinstance(prompt, tuple) and len(prompt) != clips:
            raise ValueError(f"must be {len(prompt)}, as many as there are prompts")
        return clips

    @property
    def total_frames(self) -> int:
        return 1 + self.clips * (self.frames - 1)

    @property
    def total_steps(self) -> int:
        """Denoising steps of all clips."""
        return self.clips * self.num_inference_steps


class EditRequest(ClipRequest):
    """An edit job as accepted: the motion of a video for another first frame."""

    prompt: Text = Field("", description="What happens; may be empty, as the noise carries the motion.")
    source_prompt: Text | None = Field(
        None, description="What happens in the source video, for its inversion; the prompt if not given."
    )
    motion_intensity: Intensity | None = Field(None, description="Of both; measured from the video if not given.")
    motion_bucket_id: FiniteFloat | None = Field(
        None, ge=0, le=1000, description="The model's own motion bucket, in place of the intensity."
    )
    noise_refinement: bool = Field(False, description="DCTInit of the inverted noise, by the picture.")
    noise_cutoff: FiniteFloat = Field(0.23, ge=0, le=1, description="Share of the frequencies that DCTInit takes.")
    noise_level: int = Field(975, ge=0, le=999, description="Timestep to which DCTInit noises the picture.")
    num_inference_steps: int = Field(50, ge=1, description="Of the inversion, and again of the animation.")
    fps: int | None = Field(  # type: ignore[assignment]  # Nobody takes an edit for a clip of which it is known.
        None,
        ge=1,
        le=MOST_FPS,
        description="Of the model's frames, a second; if not given, the clip moves as fast as its source, at 100 "
        "frames a second at most.",
    )
    frame_rate_factor: int | None = Field(
        None,
        ge=1,
        le=3,
        validate_default=True,
        description="Frames of the video for each of the model's. If not given: with `fps` 3, where that is within 60 "
        "a second; without, as many as `frame_interval`, 3 at most; 1 with `detail` `off`, which can have no more.",
    )
    frame_interval: int = Field(1, ge=1, le=100, description="Take every so manieth frame of the video.")

    @property
    def factor(self) -> int:
        if self.fps is not None or self.frame_rate_factor is not None:
            return super().factor
        return usual_edit_factor(self.detail, self.frame_interval)

    def fps_after(self, source_rate: float) -> float:
        """Frames a second of the video, of a source that has so many."""
        if self.fps is not None:
            return self.fps * self.factor
        return source_fps(source_rate, self.frame_interval, self.factor)

    @property
    def total_steps(self) -> int:
        """Steps of the inversion and of the animation."""
        return 2 * self.num_inference_steps
