"""Job requests as accepted: validated, with normalized text and defaults filled in."""

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
"""Maximum number of code points that NFC can combine into one (Unicode FAQ on normalization)."""
MAX_MARKS = 30
"""Limit of the Stream-Safe Text Format (UAX #15, section 13)."""
SURROGATE = re.compile("[\ud800-\udfff]")
MAX_CLIPS = int(RANGES["clips"].maximum)
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They can disguise text wherever it is displayed, and text encoders do not use them."""


def clean_text(text: str) -> str:
    """Normalize a prompt to NFC; first reject text that no encoder can read or that is expensive to normalize."""
    if len(text) > LONGEST_DECOMPOSITION * MAX_PROMPT_CODE_POINTS:
        raise ValueError(f"must have at most {MAX_PROMPT_CODE_POINTS} code points, has {len(text)}")
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    if SURROGATE.search(text):
        raise ValueError("must not contain lone surrogates")
    if not BIDI_CONTROLS.isdisjoint(text):
        raise ValueError("must not contain bidirectional control characters")
    if has_too_many_marks(text):
        raise ValueError(f"must not contain more than {MAX_MARKS} combining marks in a row")
    text = unicodedata.normalize("NFC", text)
    if len(text) > MAX_PROMPT_CODE_POINTS:
        raise ValueError(f"must have at most {MAX_PROMPT_CODE_POINTS} code points, has {len(text)}")
    return text


def has_too_many_marks(text: str) -> bool:
    """Whether a character has more combining marks than any script uses; sorting them takes quadratic time."""
    run = 0
    for character in "" if text.isascii() else text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MAX_MARKS:
            return True
    return False


def require_words(text: str) -> str:
    """Reject a prompt that is only white space."""
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Text = Annotated[str, AfterValidator(clean_text)]


def clean_prompts(given: object) -> str | tuple[str, ...]:
    """Clean one prompt, or one per clip; any fault is a single error of the whole field."""
    if isinstance(given, str):
        return require_words(clean_text(given))
    if not isinstance(given, list | tuple) or not given or not all(isinstance(each, str) for each in given):
        raise ValueError("must be text, or an array with one text per clip")
    if len(given) > MAX_CLIPS:
        raise ValueError(f"must have at most {MAX_CLIPS} texts, has {len(given)}")
    return tuple(require_words(clean_text(each)) for each in given)


Prompts = Annotated[str | tuple[str, ...], BeforeValidator(clean_prompts)]


WebhookEvent = Literal[
    "job.running", "job.succeeded", "job.failed", "job.canceled", "job.expired", "video.completed", "video.failed"
]
"""Events of a job; the last two are OpenAI's, for the end of a job that makes a video."""
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
FINAL_EVENTS: tuple[WebhookEvent, ...] = ("job.succeeded", "job.failed", "job.canceled", "job.expired")
EndpointEvent = Literal[WebhookEvent, "usage.budget_warning"]
"""Events of a tenant's endpoints, which need not concern a job."""
MAX_METADATA = 50

Url = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,2048}$")]
MetadataName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
MetadataText = Annotated[Text, StringConstraints(max_length=500)]


class JobOptions(StrictModel):
    """Options of any kind of job."""

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
    preview: bool = Field(
        False,
        description="Make up to four small previews of the video while the model runs: events of type `preview`, and "
        "the latest at `GET /jobs/<id>/preview`. Fewer, or none, if they would take more than 2 % of the time of the "
        "steps. No effect on training jobs, which store samples.",
    )


ModelReference = Annotated[str, StringConstraints(min_length=1, max_length=200)]
VideoFormat = Literal["mp4", "webm", "gif", "webp"]


def declared(model: type[BaseModel], name: str, more: str = "") -> Any:
    """A required field with the text of a parameter: an accepted request has no open defaults."""
    return Field(description=f"{model.model_fields[name].description}{more}")


def draw_seed() -> int:
    return secrets.randbelow(int(RANGES["seed"].maximum) + 1)


class ClipRequest(ClipParameters):
    """Parameters of every job that makes a video."""

    # A default can be invalid in combination with another field.
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
        """With `detail` `off`, the model must be able to generate this size."""
        if given.data.get("detail") == "off" and side is not None and side % MODEL_MULTIPLE:
            raise ValueError(f"must be a multiple of {MODEL_MULTIPLE} with detail off")
        return side

    @field_validator("height")
    @classmethod
    def require_both_sides(cls, height: int | None, given: ValidationInfo) -> int | None:
        """With `detail` `off`, a single side would combine with the model's own other side."""
        if given.data.get("detail") != "off" or "width" not in given.data:
            return height
        if (given.data["width"] is None) != (height is None):
            raise ValueError("with detail off, give both width and height, or neither")
        return height

    @field_validator("frame_rate_factor", check_fields=False)
    @classmethod
    def require_a_rate(cls, factor: int | None, given: ValidationInfo) -> int | None:
        if factor is None:
            return factor
        if factor > 1 and given.data.get("detail") == "off":
            raise ValueError("must be 1 with detail off")
        if factor * (given.data.get("fps") or 1) > MAX_FPS:
            raise ValueError(f"fps times frame_rate_factor must be at most {MAX_FPS}")
        return factor

    @field_validator("negative_prompt", "source_prompt", check_fields=False)
    @classmethod
    def require_clean_text(cls, text: str | None) -> str | None:
        return None if text is None else clean_text(text)


class AnimatePrompt(Parameters):
    """A separate base class, so that `prompt` is validated before `clips`, which depends on it."""

    prompt: Prompts = Field(
        description="What happens in the video, in 1 to 1000 code points, or an array with one prompt for each of "
        "`clips`. In forms, a JSON array.",
        examples=["the camera pans left"],
    )


class AnimateChoices(AnimateParameters, ClipRequest, AnimatePrompt):
    """The request of an animation as sent: steps and guidance may be open."""

    seed: Seed = Field(default_factory=draw_seed)

    @field_validator("clips")
    @classmethod
    def require_a_prompt_each(cls, clips: int, given: ValidationInfo) -> int:
        prompt = given.data.get("prompt")
        if isinstance(prompt, tuple) and len(prompt) != clips:
            raise ValueError(f"must be {len(prompt)}, the number of prompts")
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
    """A separate base class, so that `prompt` comes first, as in `AnimatePrompt`."""

    prompt: Text = Field("", description="What happens; may be empty, because the noise carries the motion.")


class EditChoices(EditParameters, ClipRequest, EditPrompt):
    """The request of an edit as sent: steps may be open."""


class EditRequest(EditChoices):
    """An edit job as accepted, with defaults filled in."""

    num_inference_steps: Steps = declared(EditParameters, "num_inference_steps")

    @property
    def total_steps(self) -> int:
        """Steps of the inversion and of the animation."""
        return 2 * self.num_inference_steps
