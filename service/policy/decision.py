"""What a policy is asked and what it answers: JSON over HTTP, the same objects for a Python callable."""

import base64
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from cinemo_spec.strict import StrictModel

Stage = Literal["request", "result"]
MAX_REASON = 500


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def shortened(reason: str) -> str:
    """The part of a reason that clients are shown; a refusal stays one, however long its reason is."""
    return reason[:MAX_REASON]


Base64 = Annotated[bytes, PlainSerializer(to_base64, return_type=str, when_used="json")]
"""Bytes that JSON holds as Base64 (RFC 4648, section 4)."""


class Media(BaseModel):
    """A photo or a video."""

    model_config = ConfigDict(frozen=True)

    content_type: str
    data: Base64


class Question(BaseModel):
    """What a policy is asked; fields may be added.

    Attributes:
        stage: `request` before a job is queued, `result` before its video is stored.
        tenant: whose job it is.
        kind: `animate` or `edit`.
        job: the job's ID; None before it is queued.
        request: the job's parameters, with defaults; `request["prompt"]` is a text, or a list with one for each clip.
        image: the photo, without its metadata; only at the stage `request`.
        video: the video as it would be delivered; only at the stage `result`.
    """

    model_config = ConfigDict(frozen=True)

    stage: Stage
    tenant: str
    kind: str
    job: str | None = None
    request: dict[str, Any]
    image: Media | None = None
    video: Media | None = None


class Decision(StrictModel):
    """What a policy answers.

    Attributes:
        decision: `change` queues the job with another prompt, and is only for requests.
        reason: of a refusal, shown to the client; cut to 500 characters.
        prompt: of a change: a text, or a list with one for each clip.
    """

    decision: Literal["allow", "refuse", "change"]
    reason: Annotated[str, AfterValidator(shortened)] | None = Field(None, min_length=1)
    prompt: str | tuple[str, ...] | None = None

    @model_validator(mode="after")
    def require_content(self) -> Self:
        """A refusal has a reason and a change a prompt, and nothing else has one."""
        if (self.decision == "change") != (self.prompt is not None):
            raise ValueError("`prompt` is for `change`, which requires it")
        if self.decision == "refuse" and self.reason is None:
            raise ValueError("`refuse` requires `reason`")
        return self


ALLOW = Decision(decision="allow")
