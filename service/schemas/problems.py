"""How errors leave: RFC 9457 problem documents. Knows pydantic alone, as do all schemas that clients share."""

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer in fragment form (RFC 6901, section 6).", examples=["#/prompt"])
    detail: str


class Problem(BaseModel):
    """Why a request was not carried out (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The same for every problem of this code.")
    status: int
    detail: str = Field(description="What was got, what is allowed, what to do.")
    code: str = Field(description="For programs to tell problems apart.", examples=["INPUT.INVALID"])
    retryable: bool = Field(description="Whether the same request may succeed later.")
    request_id: str = Field(description="Quote it when reporting the problem.")
    errors: list[FieldProblem] = Field(default=[], description="The fields that are wrong, where it was fields.")
