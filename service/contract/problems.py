"""Errors of requests as RFC 9457 problems, one class per error."""

from dataclasses import dataclass, field
from typing import Any

PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """An invalid field; `pointer` is a JSON pointer in fragment form (RFC 6901, section 6)."""

    pointer: str
    detail: str


@dataclass
class Problem(Exception):
    """Base of all problems; subclasses define status, code, title, remedy and whether a retry can help."""

    detail: str
    errors: list[FieldError] = field(default_factory=list)

    status = 500
    code = "INTERNAL.ERROR"
    title = "Internal error"
    retryable = False
    remedy = "Report the `request_id` to the operator, who can find it in the logs."
    """What the caller can do."""

    def __str__(self) -> str:
        return self.detail

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the members of the problem document."""
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
    """Not a valid HTTP request; the connection is closed."""

    status, code, title = 400, "REQUEST.MALFORMED", "The request cannot be parsed"
    remedy = "Send HTTP/1.1 with a compliant client."


class HeadTooLarge(Problem):
    """The connection is closed after the response."""

    status, code, title = 431, "REQUEST.HEAD_TOO_LARGE", "The request headers are too large"
    remedy = "Send fewer and shorter headers, and a shorter URL; `detail` states the limit."


class HeadTooSlow(Problem):
    """The connection is closed after the response."""

    status, code, title, retryable = 408, "REQUEST.HEAD_TOO_SLOW", "The request headers did not arrive in time", True
    remedy = "Retry, and open the connection only when there is something to send."


class HostUnknown(Problem):
    """Only without API keys: the name may belong to another site (DNS rebinding)."""

    status, code, title = 421, "REQUEST.HOST_UNKNOWN", "Unknown host name"
    remedy = "Use the service's IP address, or ask the operator to add the name to `CINEMO_TRUSTED_ORIGINS`."


class CrossSite(Problem):
    """Only without API keys: a page of another site sent the request."""

    status, code, title = 403, "REQUEST.CROSS_SITE", "Cross-site requests are not allowed"
    remedy = "Call the service from its own page or from a program, or ask the operator to allow the page's origin."


class InvalidInput(Problem):
    status, code, title = 422, "INPUT.INVALID", "A field of the request is invalid"
    remedy = "Fix the fields that `errors` points to."


class MalformedBody(Problem):
    status, code, title = 400, "INPUT.BODY.MALFORMED", "The body cannot be parsed"
    remedy = "Send valid JSON or a valid form."


class UnsupportedBody(Problem):
    status, code, title = 415, "INPUT.BODY.UNSUPPORTED", "The content type of the body is not supported"
    remedy = "Send one of the content types that this endpoint accepts."


class BodyTooLarge(Problem):
    status, code, title = 413, "INPUT.BODY.TOO_LARGE", "The body is too large"
    remedy = (
        "Send less. Files have their own limits; upload large ones directly to the bucket with "
        "`POST /uploads/presigned`."
    )


class BodyTooSlow(Problem):
    """The connection is closed after the response, as the rest of the body may still arrive."""

    status, code, title, retryable = 408, "INPUT.BODY.TOO_SLOW", "The body did not arrive in time", True
    remedy = "Retry over a faster connection, or upload the file first with `POST /uploads/presigned`."


class FileProblem(Problem):
    """A problem with a file; points at the field that contains or references it."""

    status, field_name = 422, "file"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.point_at(self.field_name)

    def point_at(self, field_name: str) -> None:
        """Point at the field that the client sent."""
        self.errors = [FieldError(f"#/{field_name}", self.detail)]


class ImageProblem(FileProblem):
    title, field_name = "The picture cannot be used", "image"


class ImageTooLarge(ImageProblem):
    status, code = 413, "INPUT.IMAGE.TOO_LARGE"
    remedy = "Send a smaller picture; `detail` states the limit."


class ImageUnsupported(ImageProblem):
    status, code = 415, "INPUT.IMAGE.UNSUPPORTED"
    remedy = "Send JPEG, PNG, WebP, AVIF or HEIC."


class ImageTooComplex(ImageProblem):
    code = "INPUT.IMAGE.TOO_COMPLEX"
    remedy = "Re-save the picture in any program; `detail` states what exceeds the limit."


class ImageCorrupt(ImageProblem):
    code = "INPUT.IMAGE.CORRUPT"
    remedy = "Send a picture that can be opened; don't prefix base64 with `data:`."


class ImageAnimated(ImageProblem):
    code = "INPUT.IMAGE.ANIMATED"
    remedy = "Send a single-frame picture."


class VideoProblem(FileProblem):
    title, field_name = "The video cannot be used", "video"


class VideoTooLarge(VideoProblem):
    status, code = 413, "INPUT.VIDEO.TOO_LARGE"
    remedy = "Send a shorter or smaller video; `detail` states the limit."


class VideoUnsupported(VideoProblem):
    status, code = 415, "INPUT.VIDEO.UNSUPPORTED"
    remedy = "Send MP4, QuickTime, WebM, Matroska or GIF."


class UploadTooLarge(FileProblem):
    status, code, title = 413, "INPUT.UPLOAD.TOO_LARGE", "The file is too large"
    remedy = "Send a smaller file; `detail` states the limit."


class UploadUnsupported(FileProblem):
    status, code, title = 415, "INPUT.UPLOAD.UNSUPPORTED", "The file cannot be used"
    remedy = "`detail` states why: jobs don't accept this file type, or the service has no bucket to upload it to."


class UploadUnknown(FileProblem):
    title, code, field_name = "The upload does not exist", "INPUT.UPLOAD.UNKNOWN", "upload_id"
    remedy = "Upload the file again: the ID is wrong or has expired."


class UrlForbidden(Problem):
    status, code, title = 422, "INPUT.URL.FORBIDDEN", "The URL is not allowed"
    remedy = "Use a public address, or ask the operator to allow its network."


class UrlUnreachable(Problem):
    status, code, title, retryable = 422, "INPUT.URL.UNREACHABLE", "The URL cannot be fetched", True
    remedy = "Make sure that the URL returns 200 without a redirect, then retry."


class UrlTooLarge(Problem):
    status, code, title = 413, "INPUT.URL.TOO_LARGE", "The file at the URL is too large"
    remedy = "Use a URL of a smaller file."


class IdempotencyKeyReused(Problem):
    status, code, title = 422, "IDEMPOTENCY.KEY_REUSED", "This Idempotency-Key was used for a different request"
    remedy = "Use a new key for a different request."


class RequestInFlight(Problem):
    status, code, title, retryable = 409, "IDEMPOTENCY.IN_FLIGHT", "This request is still being processed", True
    remedy = "Retry with the same key in a moment."


class ModelUnknown(Problem):
    """Points at the field that names the model."""

    status, code, title = 422, "INPUT.MODEL.UNKNOWN", "The model does not exist"
    remedy = "Use a model from `GET /models`."

    def __init__(self, detail: str, field_name: str = "model") -> None:
        super().__init__(detail, [FieldError(f"#/{field_name}", detail)])


class ModelDeleted(Problem):
    status, code, title = 409, "MODEL.DELETED", "The model has been deleted"
    remedy = "Use another model from `GET /models`."


class ModelInUse(Problem):
    status, code, title = 409, "MODEL.IN_USE", "The model is in use by unfinished jobs"
    remedy = "Wait for the jobs that use it, or cancel them."


class ModelIsBase(Problem):
    status, code, title = 409, "MODEL.IS_BASE", "Adapters need the model"
    remedy = "Delete the adapters named in `detail` first."


class Unauthenticated(Problem):
    status, code, title = 401, "AUTH.KEY_INVALID", "A valid API key is required"
    remedy = "Send `Authorization: Bearer` with a valid key that has not been revoked."


class ScopeMissing(Problem):
    status, code, title = 403, "AUTH.SCOPE_MISSING", "The API key lacks the required scope"
    remedy = "Use a key with the scope named in `detail`."


class TooMany(Problem):
    """Base of the limits of a tenant; `retry_after` in seconds."""

    status, retryable = 429, True

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class RateLimited(TooMany):
    code, title = "RATE.LIMITED", "Too many requests"
    remedy = "Retry after `Retry-After` seconds; `RateLimit` shows what is left."


class WaitingLimited(TooMany):
    code, title = "WAITING.LIMITED", "Too many of your requests are waiting for jobs"
    remedy = "Close unused event streams, or poll without `wait`."


class QuotaReached(TooMany):
    """Frees up as jobs and files expire or are deleted."""

    code, title = "QUOTA.REACHED", "The storage quota is used up"
    remedy = (
        "Delete files of ended jobs with `DELETE /jobs/<id>`, wait for records to expire, or ask for a higher quota."
    )

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=60)


class BudgetSpent(TooMany):
    """A 429, not a 402: the limit ends by itself, `Retry-After` says when, and nobody need have set a price."""

    code, title = "BUDGET.SPENT", "The budget for this month is used up"
    remedy = "Retry after `Retry-After` seconds, when the next month (UTC) has begun, or ask for a higher budget."


class QueueFull(TooMany):
    code, title = "QUEUE.FULL", "Too many jobs are queued"
    remedy = "Retry after `Retry-After` seconds, or cancel queued jobs."


class NotFound(Problem):
    status, code, title = 404, "NOT_FOUND", "Not found"
    remedy = "Check that the ID is correct and belongs to you; ended jobs are kept only for a limited time."


class DataRemoved(Problem):
    status, code, title = 410, "JOB.DATA_REMOVED", "The job's files have been deleted"
    remedy = "Send the input again as a new job."


class Forbidden(Problem):
    status, code, title = 403, "URL.INVALID", "The download URL is invalid or expired"
    remedy = "Get the job again for a new URL."


class RangeMalformed(Problem):
    status, code, title = 400, "RANGE.MALFORMED", "The range cannot be parsed"
    remedy = "Use `bytes=first-last`, or omit `Range`."


class RangeUnsatisfiable(Problem):
    """The range starts after the end of the file, which has `size_bytes`."""

    status, code, title = 416, "RANGE.UNSATISFIABLE", "The range is outside the file"
    remedy = "`Content-Range` states the size of the file."

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the file has {size_bytes:,} bytes")
        self.size_bytes = size_bytes


class QueueUnavailable(Problem):
    status, code, title, retryable = 503, "QUEUE.UNAVAILABLE", "The queue is unavailable", True
    remedy = "Retry after `Retry-After` seconds, with an `Idempotency-Key` if the request creates a job."


class QueueRefused(QueueUnavailable):
    """Redis rejected a command: a bug in the service, not an outage.

    It is a `QueueUnavailable` because code that waits for an outage to end should wait for this, too: an update may
    fix it.
    """

    status, code, title, retryable = 500, Problem.code, Problem.title, False
    remedy = "Report the `request_id` to the operator: the logs show what Redis rejected."


class RedisUnsafe(Problem):
    """Redis is misconfigured; only its operator can fix that."""

    status, code, title = 503, "QUEUE.UNSAFE", "Redis could lose accepted jobs"
    remedy = "Only the operator can fix this: `cinemo doctor` shows what to set."


class MarkingUnavailable(Problem):
    """Videos must be signed, but no worker can."""

    status, code, title = 503, "MARKING.UNAVAILABLE", "Videos cannot be signed"
    remedy = "Only the operator can fix this: `cinemo doctor` in a worker shows what to do."


class PolicyRefused(Problem):
    """`detail` is the policy's reason."""

    status, code, title = 403, "POLICY.REFUSED", "The operator's policy refuses this"
    remedy = "Change the photo or the prompt as `detail` says."


class PolicyUnavailable(Problem):
    """The policy must be asked, and gives no answer."""

    status, code, title, retryable = 503, "POLICY.UNAVAILABLE", "The operator's policy cannot be asked", True
    remedy = "Retry after `Retry-After` seconds."


class ServiceBusy(Problem):
    status, code, title, retryable = 503, "SERVICE.BUSY", "The server is receiving too much data at once", True
    remedy = (
        "Retry after `Retry-After` seconds; upload large files directly to the bucket with `POST /uploads/presigned`."
    )


class ServiceDraining(Problem):
    status, code, title, retryable = 503, "SERVICE.DRAINING", "This process is shutting down", True
    remedy = "Retry; another process will respond."


class StorageUnavailable(Problem):
    status, code, title, retryable = 503, "STORAGE.UNAVAILABLE", "The storage is unavailable", True
    remedy = "Retry after `Retry-After` seconds, with an `Idempotency-Key` if the request creates a job."


class ObjectNotFound(Problem):
    status, code, title = 404, "STORAGE.OBJECT_NOT_FOUND", "The object is not in storage"
    remedy = "Check that it has not expired."
