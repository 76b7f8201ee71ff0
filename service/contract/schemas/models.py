"""Models as clients see them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from cinemo_spec.distillation import Comparison


class MotionScale(BaseModel):
    """The bucket of intensity 0, the increment per intensity, and the motion score at which the strongest bucket
    starts."""

    at_zero: float
    per_intensity: float
    strong_score: float = Field(0.0, description="Mean SSIM of consecutive frames.")


class Base(BaseModel):
    """The model that an adapter was trained on."""

    model: str
    revision: str = Field(description="An adapter is used only with exactly this revision of its base.")


class Model(BaseModel):
    """A model and its recommended parameters; sizes in pixels."""

    model: str = Field(description="Name to use in requests.")
    name: str
    revision: str | None = Field(description="Null for the model that the service was started with.")
    kind: Literal["model", "adapter"] = Field(
        "model", description="An adapter changes its base by low-rank updates; requests use it like any other model."
    )
    base: Base | None = Field(None, description="The base of an adapter.")
    default: bool = Field(description="Whether this is the default model.")
    created_at: datetime | None = None
    job: str | None = Field(None, description="The training job that created it.")
    base_model: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    motion_scale: MotionScale | None = None
    comparison: Comparison | None = Field(None, description="A distilled model compared with its teacher.")


class ModelList(BaseModel):
    """All models: the service's own first, then published ones, newest first."""

    models: list[Model]
