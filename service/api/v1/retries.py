"""Requests that OpenAI's SDKs send again by themselves: without an idempotency key, but with a count."""

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Header

from service.api.submit import SubmitOptions, SubmitOptionsOf

RetryCount = Annotated[str | None, Header(alias="x-stainless-retry-count", pattern=r"^\d{1,3}$")]
Language = Annotated[str | None, Header(alias="x-stainless-lang")]
"""Whoever sends it is one of these SDKs, even one that does not count."""


async def read_retries(
    submitted: SubmitOptionsOf, count: RetryCount = None, language: Language = None
) -> SubmitOptions:
    """What the headers say of the job, and of how often the same request has been sent before."""
    counted = int(count) if count is not None else 0 if language is not None else None
    return replace(submitted, sent_before=counted)


RetriedOptionsOf = Annotated[SubmitOptions, Depends(read_retries)]
