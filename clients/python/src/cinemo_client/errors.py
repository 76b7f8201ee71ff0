"""The client's exceptions, one class for each way in which a caller can respond."""

from typing import Any

import httpx
from pydantic import ValidationError

from cinemo_client.models import FieldProblem, Job, Problem


class CinemoError(Exception):
    """Base class of the client's exceptions.

    `code` identifies the problem, `retryable` says whether the same call may succeed later, and `errors` lists the
    invalid fields. `request_id` lets the operator of the service find the request in the logs.
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
    """The request is invalid: fix the fields that `errors` points to."""


class AccessDenied(CinemoError):
    """The API key is wrong or lacks the scope for this call."""


class NotFound(CinemoError):
    """The job, model or file doesn't exist or belongs to another tenant."""


class Conflict(CinemoError):
    """Not possible in the current state; if `retryable`, it may be in a moment."""


class TooManyRequests(CinemoError):
    """Too many requests or queued jobs: retry after `retry_after` seconds."""


class Unavailable(CinemoError):
    """The service is unreachable or can't serve requests: try later."""


class ResponseUnreadable(CinemoError):
    """The service is newer than this client and sent something it can't parse: upgrade the client.

    The operation itself succeeded.
    """


class WaitTimedOut(CinemoError):
    """The job is still queued or running; `job` is its last known state."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.id} is still {job.status}", code="CLIENT.WAIT_TIMED_OUT", retryable=True)
        self.job = job


class JobNotSucceeded(CinemoError):
    """The job failed, was canceled or expired; see `job`."""

    def __init__(self, job: Job) -> None:
        error = job.error
        reason = f": {error.message}" if error else ""
        super().__init__(
            f"{job.id} ended as {job.status}{reason}",
            code=error.code if error else f"JOB.{job.status.upper()}",
            retryable=error.retryable if error else False,
        )
        self.job = job


class DownloadCorrupt(CinemoError):
    """The downloaded file doesn't match the job's checksum."""


ERRORS_BY_STATUS: dict[int, type[CinemoError]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    409: Conflict,
    429: TooManyRequests,
}
RETRYABLE_STATUSES = (429, 502, 503, 504)


def error_of(response: httpx.Response) -> CinemoError:
    """The exception for an error response, whose body must have been read."""
    status = response.status_code
    error_class = ERRORS_BY_STATUS.get(status, Unavailable if status >= 500 else RequestInvalid)
    try:
        problem = Problem.model_validate_json(response.content)
        details: dict[str, Any] = problem.model_dump(include={"code", "retryable", "request_id"})
        message, details["errors"] = problem.detail, problem.errors
    except ValidationError:
        message = f"{response.request.method} {response.request.url} returned {status}"
        details = {"code": f"HTTP.{status}", "retryable": status in RETRYABLE_STATUSES}
    return error_class(message, retry_after=retry_after(response), **details)


def retry_after(response: httpx.Response) -> float | None:
    """The seconds in a `Retry-After` header; the service never sends a date."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
