"""Outcomes that are not a success: RFC 9457 problems, one class an outcome."""

from dataclasses import dataclass, field
from typing import Any

PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field; `pointer` is a JSON pointer in fragment form (RFC 6901, section 6)."""

    pointer: str
    detail: str


@dataclass
class Problem(Exception):
    """Base of all problems; subclasses say status, code, title and whether a retry can help."""

    detail: str
    errors: list[FieldError] = field(default_factory=list)

    status = 500
    code = "INTERNAL.ERROR"
    title = "Something went wrong here"
    retryable = False

    def __str__(self) -> str:
        return self.detail

    def body(self, request_id: str) -> dict[str, Any]:
        """The members of the problem document."""
        members: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.retryable,
            "request_id": request_id,
        }
        if self.errors:
            members["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in self.errors]
        return members


class InvalidInput(Problem):
    status, code, title = 422, "INPUT.INVALID", "A field of the request is wrong"


class MalformedBody(Problem):
    status, code, title = 400, "INPUT.BODY.MALFORMED", "The body cannot be parsed"


class UnsupportedBody(Problem):
    status, code, title = 415, "INPUT.BODY.UNSUPPORTED", "The body has a content type that is not accepted"


class BodyTooLarge(Problem):
    status, code, title = 413, "INPUT.BODY.TOO_LARGE", "The body is too large"


class BodyTooSlow(Problem):
    """The connection is closed with the answer, as the rest of the body may still come."""

    status, code, title, retryable = 408, "INPUT.BODY.TOO_SLOW", "The body did not come in time", True


class FileProblem(Problem):
    """A problem with a file; points at the field that it, or the way to it, came in."""

    status, field_name = 422, "file"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.point_at(self.field_name)

    def point_at(self, field_name: str) -> None:
        """Name the field that the client sent."""
        self.errors = [FieldError(f"#/{field_name}", self.detail)]


class ImageProblem(FileProblem):
    title, field_name = "The picture cannot be used", "image"


class ImageTooLarge(ImageProblem):
    status, code = 413, "INPUT.IMAGE.TOO_LARGE"


class ImageUnsupported(ImageProblem):
    status, code = 415, "INPUT.IMAGE.UNSUPPORTED"


class ImageCorrupt(ImageProblem):
    code = "INPUT.IMAGE.CORRUPT"


class ImageAnimated(ImageProblem):
    code = "INPUT.IMAGE.ANIMATED"


class VideoProblem(FileProblem):
    title, field_name = "The video cannot be used", "video"


class VideoTooLarge(VideoProblem):
    status, code = 413, "INPUT.VIDEO.TOO_LARGE"


class VideoUnsupported(VideoProblem):
    status, code = 415, "INPUT.VIDEO.UNSUPPORTED"


class UploadTooLarge(FileProblem):
    status, code, title = 413, "INPUT.UPLOAD.TOO_LARGE", "The file is too large"


class UploadUnsupported(FileProblem):
    status, code, title = 415, "INPUT.UPLOAD.UNSUPPORTED", "The file cannot be used"


class UploadUnknown(FileProblem):
    title, code, field_name = "There is no such upload", "INPUT.UPLOAD.UNKNOWN", "upload_id"


class UrlForbidden(Problem):
    status, code, title = 422, "INPUT.URL.FORBIDDEN", "The URL may not be called"


class UrlUnreachable(Problem):
    status, code, title, retryable = 422, "INPUT.URL.UNREACHABLE", "The URL does not answer as it should", True


class UrlTooLarge(Problem):
    status, code, title = 413, "INPUT.URL.TOO_LARGE", "What the URL answers with is too large"


class IdempotencyKeyReused(Problem):
    status, code, title = 422, "IDEMPOTENCY.KEY_REUSED", "Another request was sent with this Idempotency-Key"


class RequestInFlight(Problem):
    status, code, title, retryable = 409, "IDEMPOTENCY.IN_FLIGHT", "This request is being carried out", True


class ModelUnknown(Problem):
    """A model that is not there; points at the field that named it."""

    status, code, title = 422, "INPUT.MODEL.UNKNOWN", "There is no such model"

    def __init__(self, detail: str, field_name: str = "model") -> None:
        super().__init__(detail, [FieldError(f"#/{field_name}", detail)])


class ModelDeleted(Problem):
    status, code, title = 409, "MODEL.DELETED", "The model has been deleted"


class ModelInUse(Problem):
    status, code, title = 409, "MODEL.IN_USE", "Jobs that have not ended use the model"


class Unauthenticated(Problem):
    status, code, title = 401, "AUTH.KEY_INVALID", "A valid API key is needed"


class ScopeMissing(Problem):
    status, code, title = 403, "AUTH.SCOPE_MISSING", "The API key is not for this"


class TooMany(Problem):
    """Base of all that a tenant may try again later; `retry_after` in seconds."""

    status, retryable = 429, True

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class RateLimited(TooMany):
    code, title = "rate_limited", "Too many requests"


class QueueFull(TooMany):
    code, title = "queue_full", "Too many jobs wait already"


class NotFound(Problem):
    status, code, title = 404, "NOT_FOUND", "There is no such thing"


class DataRemoved(Problem):
    status, code, title = 410, "JOB.DATA_REMOVED", "The job's files have been removed"


class Forbidden(Problem):
    status, code, title = 403, "URL.INVALID", "The URL is not valid, or no longer"


class QueueUnavailable(Problem):
    status, code, title, retryable = 503, "QUEUE.UNAVAILABLE", "The queue cannot be reached", True


class RedisUnsafe(Problem):
    """A mistake in how Redis is set up, for its operator to mend."""

    status, code, title = 503, "QUEUE.UNSAFE", "Redis would lose jobs that were accepted"


class ServiceDraining(Problem):
    status, code, title, retryable = 503, "SERVICE.DRAINING", "This process is about to stop", True


class StorageUnavailable(Problem):
    status, code, title, retryable = 503, "STORAGE.UNAVAILABLE", "The storage cannot be reached", True


class ObjectNotFound(Problem):
    status, code, title = 404, "STORAGE.OBJECT_NOT_FOUND", "The object is not in the storage"
