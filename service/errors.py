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
    """Base of all problems; subclasses say status, code, title, what to do and whether a retry can help."""

    detail: str
    errors: list[FieldError] = field(default_factory=list)

    status = 500
    code = "INTERNAL.ERROR"
    title = "Something went wrong here"
    retryable = False
    remedy = "Tell the operator the `request_id`: the logs have it."
    """What the caller can do."""

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


class RequestMalformed(Problem):
    """What came is no request, or one that nobody would send; the connection is closed."""

    status, code, title = 400, "REQUEST.MALFORMED", "The request cannot be read"
    remedy = "Send HTTP/1.1, by a client that speaks it."


class HeadTooLarge(Problem):
    """The connection is closed with the answer, as that of the two below."""

    status, code, title = 431, "REQUEST.HEAD_TOO_LARGE", "The head of the request is too large"
    remedy = "Send fewer and shorter headers, and a shorter URL; `detail` says what is allowed."


class HeadTooSlow(Problem):
    status, code, title, retryable = 408, "REQUEST.HEAD_TOO_SLOW", "The head of the request did not come in time", True
    remedy = "Send it again, over a connection that is opened once there is something to send."


class HostUnknown(Problem):
    """Where no key is asked for."""

    status, code, title = 421, "REQUEST.HOST_UNKNOWN", "The service is not called by this name"
    remedy = "Call it by its address, or have the operator name it in `CINEMO_TRUSTED_ORIGINS`."


class CrossSite(Problem):
    """Likewise."""

    status, code, title = 403, "REQUEST.CROSS_SITE", "Another site's page may not do this"
    remedy = "Call the service from its own page or by a program, or have the operator name the page's origin."


class InvalidInput(Problem):
    status, code, title = 422, "INPUT.INVALID", "A field of the request is wrong"
    remedy = "Mend the fields that `errors` points at."


class MalformedBody(Problem):
    status, code, title = 400, "INPUT.BODY.MALFORMED", "The body cannot be parsed"
    remedy = "Send well-formed JSON, or a well-formed form."


class UnsupportedBody(Problem):
    status, code, title = 415, "INPUT.BODY.UNSUPPORTED", "The body has a content type that is not accepted"
    remedy = "Send one of the content types that this call takes."


class BodyTooLarge(Problem):
    status, code, title = 413, "INPUT.BODY.TOO_LARGE", "The body is too large"
    remedy = "Send less: files have limits of their own, and large ones go past the API by `POST /uploads/presigned`."


class BodyTooSlow(Problem):
    """The connection is closed with the answer, as the rest of the body may still come."""

    status, code, title, retryable = 408, "INPUT.BODY.TOO_SLOW", "The body did not come in time", True
    remedy = "Send it again over a faster connection, or the file before, by `POST /uploads/presigned`."


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
    remedy = "Send a smaller picture; `detail` says what is allowed."


class ImageUnsupported(ImageProblem):
    status, code = 415, "INPUT.IMAGE.UNSUPPORTED"
    remedy = "Send JPEG, PNG, WebP, AVIF or HEIC."


class ImageTooComplex(ImageProblem):
    code = "INPUT.IMAGE.TOO_COMPLEX"
    remedy = "Save the picture anew, by any program: `detail` says what there is too much of."


class ImageCorrupt(ImageProblem):
    code = "INPUT.IMAGE.CORRUPT"
    remedy = "Send a picture that opens; base64 goes without `data:` before it."


class ImageAnimated(ImageProblem):
    code = "INPUT.IMAGE.ANIMATED"
    remedy = "Send a single frame."


class VideoProblem(FileProblem):
    title, field_name = "The video cannot be used", "video"


class VideoTooLarge(VideoProblem):
    status, code = 413, "INPUT.VIDEO.TOO_LARGE"
    remedy = "Send a shorter or smaller video; `detail` says what is allowed."


class VideoUnsupported(VideoProblem):
    status, code = 415, "INPUT.VIDEO.UNSUPPORTED"
    remedy = "Send MP4, QuickTime, WebM, Matroska or GIF."


class UploadTooLarge(FileProblem):
    status, code, title = 413, "INPUT.UPLOAD.TOO_LARGE", "The file is too large"
    remedy = "Send a smaller file; `detail` says what is allowed."


class UploadUnsupported(FileProblem):
    status, code, title = 415, "INPUT.UPLOAD.UNSUPPORTED", "The file cannot be used"
    remedy = "`detail` says why: the file is of no type that jobs take, or this service has no bucket to send it to."


class UploadUnknown(FileProblem):
    title, code, field_name = "There is no such upload", "INPUT.UPLOAD.UNKNOWN", "upload_id"
    remedy = "Upload the file again: the id is wrong, or has expired."


class UrlForbidden(Problem):
    status, code, title = 422, "INPUT.URL.FORBIDDEN", "The URL may not be called"
    remedy = "Name a public address, or have the operator allow its network."


class UrlUnreachable(Problem):
    status, code, title, retryable = 422, "INPUT.URL.UNREACHABLE", "The URL does not answer as it should", True
    remedy = "See that the URL answers with 200 and without a redirect, then ask again."


class UrlTooLarge(Problem):
    status, code, title = 413, "INPUT.URL.TOO_LARGE", "What the URL answers with is too large"
    remedy = "Let the URL lead to a smaller file."


class IdempotencyKeyReused(Problem):
    status, code, title = 422, "IDEMPOTENCY.KEY_REUSED", "Another request was sent with this Idempotency-Key"
    remedy = "Take a new key for another request."


class RequestInFlight(Problem):
    status, code, title, retryable = 409, "IDEMPOTENCY.IN_FLIGHT", "This request is being carried out", True
    remedy = "Ask again with the same key in a moment."


class ModelUnknown(Problem):
    """A model that is not there; points at the field that named it."""

    status, code, title = 422, "INPUT.MODEL.UNKNOWN", "There is no such model"
    remedy = "Name one of `GET /models`."

    def __init__(self, detail: str, field_name: str = "model") -> None:
        super().__init__(detail, [FieldError(f"#/{field_name}", detail)])


class ModelDeleted(Problem):
    status, code, title = 409, "MODEL.DELETED", "The model has been deleted"
    remedy = "Name another of `GET /models`."


class ModelInUse(Problem):
    status, code, title = 409, "MODEL.IN_USE", "Jobs that have not ended use the model"
    remedy = "Wait for the jobs that use it, or cancel them."


class Unauthenticated(Problem):
    status, code, title = 401, "AUTH.KEY_INVALID", "A valid API key is needed"
    remedy = "Send `Authorization: Bearer` with a key that has not been revoked."


class ScopeMissing(Problem):
    status, code, title = 403, "AUTH.SCOPE_MISSING", "The API key is not for this"
    remedy = "Take a key with the scope that `detail` names."


class TooMany(Problem):
    """Base of all that a tenant may try again later; `retry_after` in seconds."""

    status, retryable = 429, True

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class RateLimited(TooMany):
    code, title = "RATE.LIMITED", "Too many requests"
    remedy = "Come back after `Retry-After` seconds; `RateLimit` says what is left."


class WaitingLimited(TooMany):
    code, title = "WAITING.LIMITED", "Too many of your calls wait for jobs already"
    remedy = "Close event streams that nobody reads, or poll without `wait`."


class QuotaReached(TooMany):
    """Room comes as jobs and files expire, or are deleted."""

    code, title = "QUOTA.REACHED", "As much is kept for you as may be"
    remedy = "Delete files of ended jobs by `DELETE /jobs/<id>`, wait for records to expire, or ask for more."

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=60)


class QueueFull(TooMany):
    code, title = "QUEUE.FULL", "Too many jobs wait already"
    remedy = "Come back after `Retry-After` seconds, or cancel jobs that wait."


class NotFound(Problem):
    status, code, title = 404, "NOT_FOUND", "There is no such thing"
    remedy = "See that the id is right and that it is your own; ended jobs are kept for a time only."


class DataRemoved(Problem):
    status, code, title = 410, "JOB.DATA_REMOVED", "The job's files have been removed"
    remedy = "Send the input again, as a new job."


class Forbidden(Problem):
    status, code, title = 403, "URL.INVALID", "The URL of a download is not valid, or no longer"
    remedy = "Poll the job for a new URL."


class RangeMalformed(Problem):
    status, code, title = 400, "RANGE.MALFORMED", "The range cannot be read"
    remedy = "Ask for `bytes=first-last`, or leave `Range` out."


class RangeUnsatisfiable(Problem):
    """What is asked for lies behind the end; `size_bytes` says where that is."""

    status, code, title = 416, "RANGE.UNSATISFIABLE", "The file is shorter than the range asks for"
    remedy = "`Content-Range` says how long the file is."

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the file has {size_bytes:,} bytes")
        self.size_bytes = size_bytes


class QueueUnavailable(Problem):
    status, code, title, retryable = 503, "QUEUE.UNAVAILABLE", "The queue cannot be reached", True
    remedy = "Send the same again after `Retry-After` seconds, with an `Idempotency-Key` where it makes a job."


class QueueRefused(QueueUnavailable):
    """Redis answers that what it was sent is wrong: a fault of the service, and no outage.

    Who waits for the end of outages waits for this one's, too: a newer version may bring it.
    """

    status, code, title, retryable = 500, Problem.code, Problem.title, False
    remedy = "Tell the operator the `request_id`: the logs have what Redis refused."


class RedisUnsafe(Problem):
    """A mistake in how Redis is set up, for its operator to mend."""

    status, code, title = 503, "QUEUE.UNSAFE", "Redis would lose jobs that were accepted"
    remedy = "None but the operator can: `cinemo doctor` says what to set."


class ServiceBusy(Problem):
    status, code, title, retryable = 503, "SERVICE.BUSY", "Too much is being sent to this process at once", True
    remedy = (
        "Send the same again after `Retry-After` seconds; large files go past the API by `POST /uploads/presigned`."
    )


class ServiceDraining(Problem):
    status, code, title, retryable = 503, "SERVICE.DRAINING", "This process is about to stop", True
    remedy = "Ask again; another process answers."


class StorageUnavailable(Problem):
    status, code, title, retryable = 503, "STORAGE.UNAVAILABLE", "The storage cannot be reached", True
    remedy = "Send the same again after `Retry-After` seconds, with an `Idempotency-Key` where it makes a job."


class ObjectNotFound(Problem):
    status, code, title = 404, "STORAGE.OBJECT_NOT_FOUND", "The object is not in the storage"
    remedy = "See that it has not expired."
