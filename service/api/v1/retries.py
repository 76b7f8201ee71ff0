"""Recognizes retries of OpenAI's SDKs, which send no idempotency key, but a retry count."""

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Header

from service.api.fields import invalid_fields
from service.api.submit import Submission, SubmissionOf
from service.contract.problems import FieldError

RetryCount = Annotated[str | None, Header(alias="x-stainless-retry-count", pattern=r"^\d{1,3}$")]
Language = Annotated[str | None, Header(alias="x-stainless-lang")]
"""Identifies these SDKs, including those that send no count."""


async def read_retries(submission: SubmissionOf, count: RetryCount = None, language: Language = None) -> Submission:
    """Add the retry count to the submission; 0 for an SDK that sends none, None for other clients.

    Raises:
        InvalidInput: the request asks for a validation, which OpenAI's API doesn't have.
    """
    if submission.validate_only:
        raise invalid_fields(FieldError("#/validate_only", "not supported here, but by `POST /animate` and `/edit`"))
    if count is not None:
        return replace(submission, retry_count=int(count))
    return replace(submission, retry_count=0 if language is not None else None)


RetriedSubmissionOf = Annotated[Submission, Depends(read_retries)]
