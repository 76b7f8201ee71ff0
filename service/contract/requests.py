"""What a job is asked to do, as accepted: defaults filled in, text normalised."""

import re
import secrets
import unicodedata
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from cinemo_spec.formats import MAX_FPS, MODEL_MULTIPLE
from cinemo_spec.parameters import AnimateParameters, ClipParameters, EditParameters, Guidance, Parameters, Seed, Steps
from cinemo_spec.ranges import RANGES
from cinemo_spec.strict import StrictModel

MAX_PROMPT_CODE_POINTS = 1000
LONGEST_DECOMPOSITION = 4
"""Code points that become one by NFC, at most (Unicode FAQ on normalization)."""
MAX_MARKS = 30
"""Of the Stream-Safe Text Format (UAX #15, section 13)."""
SURROGATE = re.compile("[\ud800-\udfff]")
MAX_CLIPS = int(RANGES["clips"].maximum)
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
        raise ValueError(f"must not hold more than {MAX_MARKS} combining marks in a row")
    text = unicodedata.normalize("NFC", text)
    if len(text) > MAX_PROMPT_CODE_POINTS:
        raise ValueError(f"must have at most {MAX_PROMPT_CODE_POINTS} code points, has {len(text)}")
    return text


def has_heap_of_marks(text: str) -> bool:
    """Whether more marks stand on one character than any script puts there; ordering them takes quadratic work."""
    run = 0
    for character in "" if text.isascii() else text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MAX_MARKS:
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


class JobOptions(StrictModel):
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


ModelReference = Annotated[str, StringConstraints(min_length=1, max_length=200)]
VideoFormat = Literal["mp4", "webm", "gif", "webp"]


def declared(model: type[BaseModel], name: str, more: str = "") -> Any:
    """A required field with the text of a parameter that has a default: of what is accepted, none is left open."""
    return Field(description=f"{model.model_fields[name].description}{more}")


def draw_seed() -> int:
    return secrets.randbelow(int(RANGES["seed"].maximum) + 1)


class ClipRequest(ClipParameters):
    """What every job that makes a clip is asked for."""

    # A default is wrong where another field needs its neighbour to be given.
    model_config = ConfigDict(validate_default=True)

    model: ModelReference = Field(description="A model from `GET /models`; defaults to the service's own.")
    format: VideoFormat = Field("mp4", description="H.264 (`mp4`), VP9 (`webm`) or an animated picture.")

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

    @field_validator("frame_rate_factor", check_fields=False)
    @classmethod
    def require_a_rate(cls, factor: int | None, given: ValidationInfo) -> int | None:
        if factor is None:
            return factor
        if factor > 1 and given.data.get("detail") == "off":
            raise ValueError("must be 1 where detail is off")
        if factor * (given.data.get("fps") or 1) > MAX_FPS:
            raise ValueError(f"fps times frame_rate_factor must be at most {MAX_FPS}")
        return factor

    @field_validator("negative_prompt", "source_prompt", check_fields=False)
    @classmethod
    def require_clean_text(cls, text: str | None) -> str | None:
        return None if text is None else clean_text(text)


class AnimatePrompt(Parameters):
    """A base of its own, as fields of bases come first: `clips` is held against the prompts."""

    prompt: Prompts = Field(
        description="What happens in the video, in 1 to 1000 code points, or an array with one prompt for each of "
        "`clips`. In forms, a JSON array.",
        examples=["the camera pans left"],
    )


class AnimateChoices(AnimateParameters, ClipRequest, AnimatePrompt):
    """What a client may say of an animation."""

    seed: Seed = Field(default_factory=draw_seed)

    @field_validator("clips")
    @classmethod
    def require_a_prompt_each(cls, clips: int, given: ValidationInfo) -> int:
        prompt = given.data.get("prompt")
        if isinstance(prompt, tuple) and len(prompt) != clips:
            raise ValueError(f"must be {len(prompt)}, as many as there are prompts")
        return clips


class AnimateRequest(AnimateChoices):
    """An animate job as accepted, with defaults filled in."""

    seed: Seed = declared(AnimateParameters, "seed", " Random by default.")
    num_inference_steps: Steps = declared(AnimateParameters, "num_inference_steps")
    guidance_scale: Guidance = declared(AnimateParameters, "guidance_scale")

    @property
    def total_steps(self) -> int:
        """Denoising steps of all clips."""
        return self.clips * self.num_inference_steps


class EditPrompt(Parameters):
    """Likewise first."""

    prompt: Text = Field("", description="What happens; may be empty, because the noise carries the motion.")


class EditChoices(EditParameters, ClipRequest, EditPrompt):
    """What a client may say of an edit."""


class EditRequest(EditChoices):
    """An edit job as accepted: the motion of a video for another first frame."""

    num_inference_steps: Steps = declared(EditParameters, "num_inference_steps")

    @property
    def total_steps(self) -> int:
        """Steps of the inversion and of the animation."""
        return 2 * self.num_inference_steps
