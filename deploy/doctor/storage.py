"""The storage: each right that the service uses, used once on an object of its own."""

import secrets

import httpx
from botocore.exceptions import ClientError

from deploy.doctor.context import ANSWER_SECONDS, Context
from deploy.doctor.result import CheckResult, failure, ok, skipped
from service.contract.problems import ObjectNotFound, StorageUnavailable
from service.storage import S3Store

DATA = b"written by cinemo doctor"
KIND = "text/plain"
URL_SECONDS = 60
REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "Forbidden"}


def answers(context: Context) -> CheckResult:
    """Whether it is there."""
    place = context.settings.storage_url
    try:
        context.storage.check()
    except StorageUnavailable as problem:
        return failure(problem.detail, remedy_for(problem, context))
    return ok(f"{place} is there")


def remedy_for(problem: StorageUnavailable, context: Context) -> str:
    """By what the server said, where it said anything."""
    if isinstance(context.storage, S3Store):
        cause = problem.__cause__
        if isinstance(cause, ObjectNotFound):
            return "make the bucket, or correct CINEMO_STORAGE_URL or CINEMO_S3_REGION"
        if isinstance(cause, ClientError):
            if cause.response["Error"]["Code"] in REFUSED:
                return "correct CINEMO_S3_ACCESS_KEY_ID and its secret, or the rights that go with them"
            return "look at the S3 server's log"
        return "start the S3 server, or set CINEMO_S3_ENDPOINT_URL to where this machine reaches it"
    return "mount a folder there that this user may write, or correct CINEMO_STORAGE_URL"


def objects(context: Context) -> CheckResult:
    """Write, look at, read and copy."""
    key, copy = context.key("object"), context.key("copy")
    try:
        context.storage.put_bytes(key, DATA, KIND)
        read = context.storage.get_bytes(key)
        context.storage.copy(key, copy)
    except (StorageUnavailable, ObjectNotFound) as problem:
        return failure(problem.detail, rights(context, "s3:PutObject and s3:GetObject"))
    if read != DATA:
        return failure("gave back something else than was stored", "look at what stands between us and the storage")
    return ok("an object is written, read back and copied")


def parts(context: Context) -> CheckResult:
    """Large files go in parts, which is a right of its own."""
    if not isinstance(context.storage, S3Store):
        return ok("a folder takes large files as they are")
    try:
        context.storage.check_multipart(context.key("parts"), DATA)
    except StorageUnavailable as problem:
        return failure(problem.detail, rights(context, "s3:PutObject and s3:AbortMultipartUpload"))
    return ok("large files may be uploaded in parts, and broken off")


def download_url(context: Context) -> CheckResult:
    """A presigned URL of the object that `objects` has stored, as clients get for each video."""
    url = context.storage.presign(context.key("object"), URL_SECONDS)
    try:
        answer = httpx.get(url, timeout=ANSWER_SECONDS)
    except httpx.HTTPError as error:
        return unreachable(url, error)
    if answer.status_code != 200 or answer.content != DATA:
        return failure(f"a download URL is answered with {answer.status_code}", signed_elsewhere(context))
    return ok("a download URL gives the object to whoever has it")


def upload_url(context: Context) -> CheckResult:
    """A presigned URL that takes an object, as `POST /uploads/presigned` gives."""
    data = secrets.token_bytes(64)
    url = context.storage.presign_put(context.key("upload"), KIND, len(data), URL_SECONDS)
    if url is None:
        return ok("files come in through the API")
    try:
        answer = httpx.put(url, content=data, headers={"Content-Type": KIND}, timeout=ANSWER_SECONDS)
    except httpx.HTTPError as error:
        return unreachable(url, error)
    if answer.status_code != 200:
        return failure(f"an upload URL is answered with {answer.status_code}", signed_elsewhere(context))
    return ok("an upload URL takes an object from whoever has it")


def unreachable(url: str, error: httpx.HTTPError) -> CheckResult:
    """Clients need not be where this is run."""
    place = httpx.URL(url).copy_with(raw_path=b"/")
    return skipped(f"URLs lead to {place}, which cannot be reached from here ({error}); try one where clients are")


def signed_elsewhere(context: Context) -> str:
    if not isinstance(context.storage, S3Store):
        return "let CINEMO_PUBLIC_BASE_URL lead to an API with the same CINEMO_URL_SIGNING_KEY and folder"
    return "let CINEMO_S3_PUBLIC_ENDPOINT_URL lead to this server with the host name unchanged; look at clocks"


def rights(context: Context, actions: str) -> str:
    """What to allow."""
    if isinstance(context.storage, S3Store):
        return f"allow {actions} on arn:aws:s3:::{context.storage.bucket}/{context.storage.prefix}*"
    return "let this user write the folder, and make room on its disk"


def deleting(context: Context) -> CheckResult:
    """List and delete, which also removes what the checks before have stored."""
    key, prefix = context.key("object"), context.key("")
    try:
        listed = context.storage.list(prefix)
        context.storage.delete(prefix)
        left = context.storage.list(prefix)
    except StorageUnavailable as problem:
        return failure(problem.detail, rights(context, "s3:DeleteObject, and s3:ListBucket on the bucket,"))
    if key not in listed:
        return failure(f"{key} was stored and is not listed", "use a storage whose listings are current")
    if left:
        return failure(f"{', '.join(left)} was deleted and is there", rights(context, "s3:DeleteObject"))
    return ok("objects are listed and deleted")
