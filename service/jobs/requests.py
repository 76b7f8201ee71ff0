"""What a job is asked to do, as accepted: defaults filled in, text normalised."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

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
