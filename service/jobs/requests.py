"""What a job is asked to do, as accepted: defaults filled in, text normalised."""

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

MAX_PROMPT_CODE_POINTS = 1000
MAX_SEED = 2**32 - 1
MAX_INTENSITY = 19


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


WebhookEvent = Literal["job.running", "job.succeeded", "job.failed", "job.canceled", "job.expired"]
FINAL_EVENTS: tuple[WebhookEvent, ...] = ("job.succeeded", "job.failed", "job.canceled", "job.expired")
MAX_METADATA = 50

MetadataName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
MetadataText = Annotated[Text, StringConstraints(max_length=500)]


class JobOptions(Part):
    """What a client may ask of any job, whatever the job does."""

    webhook_url: str | None = Field(None, description="Where to tell of the job, beside the tenant's own endpoints.")
    webhook_events: tuple[WebhookEvent, ...] = Field(FINAL_EVENTS, description="Of what to tell there.")
    metadata: dict[MetadataName, MetadataText] = Field(
        {}, max_length=MAX_METADATA, description="Yours; given back with the job and in each webhook."
    )
    priority: int = Field(0, ge=-100, le=100, description="Higher goes first among your own waiting jobs.")
    reuse: bool = Field(True, description="Give the output of an equal job again, where there is one.")


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
