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

from cinemo_spec.formats import (
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


WebhookEvent = Literal[
    "job.running", "job.succeeded", "job.failed", "job.canceled", "job.expired", "video.completed", "video.failed"
]
"""What is told of a job; the last two are OpenAI's words for the end of one that makes a video."""
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
FINAL_EVENTS: tuple[WebhookEvent, ...] = ("job.succeeded", "job.failed", "job.canceled", "job.expired")
MAX_METADATA = 50

Url = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,2048}$")]
MetadataName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
MetadataText = Annotated[Text, StringConstraints(max_length=500)]


class JobOptions(Part):
    """What a client may ask of any job, whatever the job does."""

    webhook_url: Url | None = Field(
        None, description="Webhook URL for this job, in addition to the tenant's endpoints."
    )
    webhook_events: tuple[WebhookEvent, ...] = Field(
        FINAL_EVENTS, max_length=len(WEBHOOK_EVENTS), description="Events to send to it. In forms, a JSON array."
    )
    metadata: dict[MetadataName, MetadataText] = Field(
        {},
        max_length=MAX_METADATA,
        description="Your own data: up to 50 names with texts of up to 500 code points, returned with the job and in "
        "each webhook. In forms, a JSON object.",
    )
    priority: int = Field(0, ge=-100, le=100, description="Among your own queued jobs, higher priorities run first.")
    reuse: bool = Field(True, description="Reuse the output of an identical job if one exists.")


Side = Annotated[int, Field(ge=LEAST_SIDE, le=MOST_SIDE, multiple_of=VIDEO_MULTIPLE)]
Intensity = Annotated[int, Field(ge=0, le=MAX_INTENSITY)]
ModelReference = Annotated[str, StringConstraints(min_length=1, max_length=200)]
VideoFormat = Literal["mp4", "webm", "gif", "webp"]


class ClipRequest(Part):
    """What every job that makes a clip is asked for."""

    model: ModelReference = Field(description="A model from `GET /models`; defaults to the service's own.")
    num_inference_steps: int = Field(
        ge=1, description="Denoising steps, 200 at most; defaults to the model's own number."
    )
    frames: int = Field(16, ge=8, le=32, description="Frames per clip; 128 at most across all clips.")
    detail: Detail = Field(
        "photo",
        description="`photo`: the model decides what moves and how the light changes, and the photo supplies the "
        "detail, at any size. `off`: only the model's own output, at a size the model supports, with at "
        "most 1024 × 1024 pixels.",
    )
    width: Side | None = Field(
        None,
        description="Width of the video in pixels; at most 1920 × 1080 pixels in total. If you omit one side, it "
        "follows the photo's aspect ratio; if you omit both, the video is as large as the photo, up to "
        "1280 × 720, or 720 × 1280 for portrait photos. With `detail` `off`: multiples of 8, and either "
        "both sides or neither, for the model's own size.",
    )
    height: Side | None = Field(None, validate_default=True, description="Height of the video; see `width`.")
    fit: Literal["crop", "pad"] = Field(
        "crop",
        description="`crop` fills the frame and cuts off the rest; `pad` keeps the whole picture between black bars.",
    )
    fps: int = Field(
        USUAL_FPS,
        ge=1,
        le=MOST_FPS,
        description="Frames per second from the model; the video plays `frame_rate_factor` times as many.",
    )
    frame_rate_factor: int | None = Field(
        None,
        ge=1,
        le=3,
        validate_default=True,
        description="Video frames per model frame. Defaults to 3 if that is within 60 frames per second; always 1 "
        "with `detail` `off`.",
    )
    format: VideoFormat = Field("mp4", description="H.264 (`mp4`), VP9 (`webm`) or an animated picture.")
    first_frame: Literal["photo", "decoded"] = Field(
        "photo",
        validate_default=True,
        description="`photo` keeps the photo's own pixels. `decoded`, with `detail` `off`, decodes the first frame "
        "with the model like all the others, so that a looping video doesn't jump after it.",
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
    """An animate job as accepted, with defaults filled in."""

    prompt: Prompts = Field(
        description="What happens in the video, in 1 to 1000 code points, or an array with one prompt for each of "
        "`clips`. In forms, a JSON array.",
        examples=["the camera pans left"],
    )
    negative_prompt: Text = Field("", description="What guidance steers away from; up to 1000 code points.")
    motion_intensity: Intensity = Field(10, description="0 (still) to 19 (strong), comparable across models.")
    motion_bucket_id: FiniteFloat | None = Field(
        None, ge=0, le=1000, description="The model's own motion bucket; overrides the intensity."
    )
    seed: int = Field(ge=0, le=MAX_SEED, description="The same seed gives the same video; random by default.")
    guidance_scale: FiniteFloat = Field(
        ge=1, le=30, description="1 disables guidance; defaults to the model's own value."
    )
    noise_refinement: bool = Field(True, description="DCTInit: start from the picture's low frequencies.")
    noise_cutoff: FiniteFloat = Field(0.23, ge=0, le=1, description="Share of the frequencies that DCTInit uses.")
    noise_level: int = Field(975, ge=0, le=999, description="Timestep to which DCTInit adds noise to the picture.")
    sampler: Literal["ddim", "unipc", "dpm++"] = Field(
        "ddim", description="`ddim` is the published sampler; the others need fewer steps."
    )
    cache_interval: int = Field(1, ge=1, le=10, description="Compute deep features only every Nth step; 1 is exact.")
    clips: int = Field(
        1,
        ge=1,
        le=MAX_CLIPS,
        validate_default=True,
        description="Number of consecutive clips, each starting from the last frame of the previous one.",
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

    prompt: Text = Field("", description="What happens; may be empty, because the noise carries the motion.")
    source_prompt: Text | None = Field(
        None, description="What happens in the source video, for its inversion; defaults to `prompt`."
    )
    motion_intensity: Intensity | None = Field(
        None, description="Motion intensity of both videos; measured from the source video by default."
    )
    motion_bucket_id: FiniteFloat | None = Field(
        None, ge=0, le=1000, description="The model's own motion bucket; overrides the intensity."
    )
    noise_refinement: bool = Field(False, description="DCTInit of the inverted noise, from the picture.")
    noise_cutoff: FiniteFloat = Field(0.23, ge=0, le=1, description="Share of the frequencies that DCTInit uses.")
    noise_level: int = Field(975, ge=0, le=999, description="Timestep to which DCTInit adds noise to the picture.")
    num_inference_steps: int = Field(50, ge=1, description="Steps of the inversion, and again of the animation.")
    fps: int | None = Field(  # type: ignore[assignment]  # Nobody takes an edit for a clip of which it is known.
        None,
        ge=1,
        le=MOST_FPS,
        description="Frames per second from the model; by default, the clip moves as fast as its source, with at most "
        "100 frames per second.",
    )
    frame_rate_factor: int | None = Field(
        None,
        ge=1,
        le=3,
        validate_default=True,
        description="Video frames per model frame. Defaults to 3 with `fps`, if that is within 60 frames per second; "
        "without `fps`, to `frame_interval`, at most 3. Always 1 with `detail` `off`.",
    )
    frame_interval: int = Field(1, ge=1, le=100, description="Use every Nth frame of the video.")

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
