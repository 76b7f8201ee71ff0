"""What can go wrong for a client, one class for each thing that a caller can do about it."""

from typing import Any

import httpx
from pydantic import ValidationError

from cinemo_client.models import FieldProblem, Job, Problem


class CinemoError(Exception):
    """Base of all errors of the client.

    `code` identifies the problem, `retryable` says whether the same call may succeed later, and `errors` which fields
    are wrong. The operator of the service finds `request_id` in the logs.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "CLIENT.ERROR",
        retryable: bool = False,
        request_id: str | None = None,
        errors: list[FieldProblem] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.request_id = request_id
        self.errors = errors or []
        self.retry_after = retry_after


class RequestInvalid(CinemoError):
    """The request is wrong: mend what `errors` point at."""


class AccessDenied(CinemoError):
    """The API key is wrong, or not for this."""


class NotFound(CinemoError):
    """There is no such job, model or file, or it belongs to another tenant."""


class Conflict(CinemoError):
    """It cannot be done as things stand; where `retryable`, it can in a moment."""


class TooMany(CinemoError):
    """Too many requests or waiting jobs: ask again after `retry_after` seconds."""


class Unavailable(CinemoError):
    """The service cannot be reached or cannot serve, though the request may be right: try later."""


class AnswerUnreadable(CinemoError):
    """The service answers with what this version of the client does not know: take a newer client.

    What was asked for has been done nevertheless.
    """


class WaitTimedOut(CinemoError):
    """The job goes on; `job` is where it stood last."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.id} is {job.status} yet", code="CLIENT.WAIT_TIMED_OUT", retryable=True)
        self.job = job


class JobNotSucceeded(CinemoError):
    """The job ended as failed, canceled or expired; see `job`."""

    def __init__(self, job: Job) -> None:
        error = job.error
        said = f": {error.message}" if error else ""
        super().__init__(
            f"{job.id} ended as {job.status}{said}",
            code=error.code if error else f"JOB.{job.status.upper()}",
            retryable=error.retryable if error else False,
        )
        self.job = job


class DownloadCorrupt(CinemoError):
    """What was downloaded is not what the job describes."""


CLASSES: dict[int, type[CinemoError]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    409: Conflict,
    429: TooMany,
}
TRY_AGAIN = (429, 502, 503, 504)


def error_of(response: httpx.Response) -> CinemoError:
    """The error for a response; its body must have been read."""
    status = response.status_code
    kind = CLASSES.get(status, Unavailable if status >= 500 else RequestInvalid)
    try:
        problem = Problem.model_validate_json(response.content)
        details: dict[str, Any] = problem.model_dump(include={"code", "retryable", "request_id"})
        message, details["errors"] = problem.detail, problem.errors
    except ValidationError:
        message = f"{response.request.method} {response.request.url} was answered with {status}"
        details = {"code": f"HTTP.{status}", "retryable": status in TRY_AGAIN}
    return kind(message, retry_after=retry_after(response), **details)


def retry_after(response: httpx.Response) -> float | None:
    """The seconds of a `Retry-After` header; the service sends no dates."""
    given = response.headers.get("retry-after", "")
    return float(given) if given.isdecimal() else None
