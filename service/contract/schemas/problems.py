"""Problem documents (RFC 9457). Like all schemas here, it imports only pydantic."""

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    """An error in one field."""

    pointer: str = Field(description="JSON pointer in fragment form (RFC 6901, section 6).", examples=["#/prompt"])
    detail: str


class Problem(BaseModel):
    """Why a request failed (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The same for every problem with this code.")
    status: int
    detail: str = Field(description="What was received, what is allowed, and what to do.")
    code: str = Field(description="Machine-readable code of the problem.", examples=["INPUT.INVALID"])
    retryable: bool = Field(description="Whether the same request may succeed later.")
    request_id: str = Field(description="Quote it when reporting the problem.")
    errors: list[FieldProblem] = Field(default=[], description="The invalid fields, if any.")
