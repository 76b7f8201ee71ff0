"""What `validate_only` returns in place of a job: the request as it would be accepted, and when it would run."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from cinemo_spec.training import TrainConfig
from service.contract.record import JobKind
from service.contract.requests import AnimateRequest, EditRequest


class BaseValidation(BaseModel):
    """Fields of the validations of all kinds of jobs."""

    kind: JobKind
    jobs_ahead: int = Field(description="Estimated number of jobs that would start before it.")
    starts_at: datetime | None = Field(
        description="Estimated start; null if no worker is available, or no such job has run yet."
    )
    run_seconds: float | None = Field(description="Estimated run time; null if no such job has run yet.")
    eta: datetime | None = Field(description="Estimated end; null if start or run time are.")
    metadata: dict[str, str] = Field(description="As sent with the request.")
    webhook_url: str | None
    webhook_events: list[str] = Field(description="Events that would be sent to the webhook URL.")
    priority: int
    reuse: bool
    preview: bool


class AnimateValidation(BaseValidation):
    """A valid request to animate a photo."""

    kind: Literal["animate"]
    request: AnimateRequest = Field(description="With its defaults, and the model pinned to its revision.")


class EditValidation(BaseValidation):
    """A valid request to edit a video."""

    kind: Literal["edit"]
    request: EditRequest = Field(description="With its defaults, and the model pinned to its revision.")


class TrainValidation(BaseValidation):
    """A valid request to train a model."""

    kind: Literal["train"]
    request: TrainConfig = Field(description="With its defaults, and the base model pinned to its revision.")


Validation = TypeAliasType(
    "Validation", Annotated[AnimateValidation | EditValidation | TrainValidation, Field(discriminator="kind")]
)
"""A named union, so that the OpenAPI document has one component for it."""

OF_KIND: dict[JobKind, type[AnimateValidation | EditValidation | TrainValidation]] = {
    "animate": AnimateValidation,
    "edit": EditValidation,
    "train": TrainValidation,
}
