"""Checks of the storage: uses each permission that the service needs once, on objects of its own."""

import secrets

import httpx
from botocore.exceptions import ClientError

from deploy.doctor.context import TIMEOUT_SECONDS, Context
from deploy.doctor.result import CheckResult, failure, ok, skipped
from service.contract.problems import ObjectNotFound, StorageUnavailable
from service.storage import S3Store

DATA = b"written by cinemo doctor"
CONTENT_TYPE = "text/plain"
URL_SECONDS = 60
ACCESS_DENIED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "Forbidden"}


def exists(context: Context) -> CheckResult:
    """Whether the bucket or folder exists."""
    try:
        context.storage.check()
    except StorageUnavailable as problem:
        return failure(problem.detail, remedy_for(problem, context))
    return ok(f"{context.settings.storage_url} exists")


def remedy_for(problem: StorageUnavailable, context: Context) -> str:
    """What to do, depending on the server's response, if any."""
    if isinstance(context.storage, S3Store):
        cause = problem.__cause__
        if isinstance(cause, ObjectNotFound):
            return "create the bucket, or correct CINEMO_STORAGE_URL or CINEMO_S3_REGION"
        if isinstance(cause, ClientError):
            if cause.response["Error"]["Code"] in ACCESS_DENIED:
                return "correct CINEMO_S3_ACCESS_KEY_ID and its secret, or their permissions"
            return "see the S3 server's log"
        return "start the S3 server, or set CINEMO_S3_ENDPOINT_URL to an address that this machine can reach"
    return "mount a folder there that this user can write, or correct CINEMO_STORAGE_URL"


def objects(context: Context) -> CheckResult:
    """Write, read and copy an object."""
    key, copy = context.key("object"), context.key("copy")
    try:
        context.storage.put_bytes(key, DATA, CONTENT_TYPE)
        read = context.storage.get_bytes(key)
        context.storage.copy(key, copy)
    except (StorageUnavailable, ObjectNotFound) as problem:
        return failure(problem.detail, permissions(context, "s3:PutObject and s3:GetObject"))
    if read != DATA:
        return failure("returned something other than what was stored", "check what is between us and the storage")
    return ok("objects can be written, read and copied")


def multipart(context: Context) -> CheckResult:
    """Complete and abort a multipart upload, as used for large files."""
    if not isinstance(context.storage, S3Store):
        return ok("not needed for a folder")
    try:
        context.storage.check_multipart(context.key("multipart"), DATA)
    except StorageUnavailable as problem:
        return failure(problem.detail, permissions(context, "s3:PutObject and s3:AbortMultipartUpload"))
    return ok("multipart uploads can be completed and aborted")


def download_url(context: Context) -> CheckResult:
    """Download the object that `objects` has stored from a presigned URL, as clients do with each video."""
    url = context.storage.presign(context.key("object"), URL_SECONDS)
    try:
        response = httpx.get(url, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        return unreachable(url, error)
    if response.status_code != 200 or response.content != DATA:
        return failure(f"a download URL returned status {response.status_code}", url_remedy(context))
    return ok("download URLs work")


def upload_url(context: Context) -> CheckResult:
    """Upload an object to a presigned URL, as clients get from `POST /uploads/presigned`."""
    data = secrets.token_bytes(64)
    url = context.storage.presign_put(context.key("upload"), CONTENT_TYPE, len(data), URL_SECONDS)
    if url is None:
        return ok("clients upload through the API")
    try:
        response = httpx.put(url, content=data, headers={"Content-Type": CONTENT_TYPE}, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        return unreachable(url, error)
    if response.status_code != 200:
        return failure(f"an upload URL returned status {response.status_code}", url_remedy(context))
    return ok("upload URLs work")


def unreachable(url: str, error: httpx.HTTPError) -> CheckResult:
    """Skipped, because clients may reach a URL that this machine cannot."""
    base = httpx.URL(url).copy_with(raw_path=b"/")
    return skipped(f"URLs lead to {base}, which cannot be reached from here ({error}); try one where clients are")


def url_remedy(context: Context) -> str:
    if not isinstance(context.storage, S3Store):
        return "set CINEMO_PUBLIC_BASE_URL to an API with the same CINEMO_URL_SIGNING_KEY and folder"
    return "set CINEMO_S3_PUBLIC_ENDPOINT_URL to this server, through proxies that keep the host name; check clocks"


def permissions(context: Context, actions: str) -> str:
    """How to grant the permissions for these actions."""
    if isinstance(context.storage, S3Store):
        return f"allow {actions} on arn:aws:s3:::{context.storage.bucket}/{context.storage.prefix}*"
    return "allow this user to write to the folder, and free space on its disk"


def deletion(context: Context) -> CheckResult:
    """List and delete the objects of the previous checks."""
    key, prefix = context.key("object"), context.key("")
    try:
        listed = context.storage.list(prefix)
        context.storage.delete(prefix)
        left = context.storage.list(prefix)
    except StorageUnavailable as problem:
        return failure(problem.detail, permissions(context, "s3:DeleteObject, and s3:ListBucket on the bucket,"))
    if key not in listed:
        return failure(f"{key} was stored but is not listed", "use a storage with consistent listings")
    if left:
        return failure(f"{', '.join(left)} was deleted but still exists", permissions(context, "s3:DeleteObject"))
    return ok("objects can be listed and deleted")
