"""Objects in an S3-compatible bucket, through boto3."""

import base64
import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
import botocore.session
import structlog
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from service.contract.problems import ObjectNotFound, StorageUnavailable
from service.storage.base import StoredObject, sha256_of, stored_object, transfer_check
from service.storage.deletion import CONCURRENT_DELETIONS

log = structlog.get_logger()

TRANSFER = TransferConfig(multipart_threshold=64 * 1024 * 1024, multipart_chunksize=64 * 1024 * 1024, max_concurrency=4)
MAX_KEYS_PER_DELETION = 1000
READ_BYTES = 64 * 1024
MISSING = ("404", "NoSuchKey", "NotFound")
TRANSIENT = (
    *("InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "Throttling", "500", "502", "503", "504"),
    *("NoSuchBucket", "RequestTimeTooSkewed", "ExpiredToken", "ExpiredTokenException"),
)
"""Codes worth a retry of a bulk deletion; any other means that the server does not support it."""
DENIED = ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
"""Missing permissions, which may be granted at any time."""
STALE_CREDENTIALS = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidAccessKeyId")


Addressing = Literal["path", "virtual"]


@cache
def data_loader() -> Loader:
    """Botocore's loader of service descriptions, shared by all clients: reading them takes most of a client's start."""
    return botocore.session.Session().get_component("data_loader")


def client_config(timeout_seconds: float, attempts: int, addressing: Addressing = "path") -> Config:
    """boto3's configuration for S3-compatible servers."""
    return Config(
        signature_version="s3v4",
        # Don't wait long: another server behind the same name may accept the connection.
        connect_timeout=min(5.0, timeout_seconds),
        # Limits the time without data, not that of the transfer: slow is not failed.
        read_timeout=timeout_seconds,
        # Covers a part of a large file, which would otherwise start over, and a pooled connection that the server has
        # closed. `RetryingStore` covers outages, because it can be interrupted and has a time limit.
        retries={"total_max_attempts": attempts, "mode": "standard"},
        # Lets concurrent deletions reuse connections.
        max_pool_connections=CONCURRENT_DELETIONS,
        s3={"addressing_style": addressing},
        # Other servers reject the newer checksum trailers, so send them only where S3 requires them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


class S3Store:
    """A bucket, or a prefix in one."""

    def __init__(
        self,
        bucket: str,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        timeout_seconds: float = 30,
        attempts: int = 3,
        public_endpoint_url: str | None = None,
        session_token: str | None = None,
        addressing: Addressing = "path",
        prefix: str = "",
    ) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._addressing = addressing
        self._bulk_deletion = True
        self._public_endpoint_url = public_endpoint_url or endpoint_url
        self._options = {
            "endpoint_url": endpoint_url,
            "region_name": region,
            "aws_access_key_id": access_key_id,
            "aws_secret_access_key": secret_access_key,
            "aws_session_token": session_token,
            "config": client_config(timeout_seconds, attempts, addressing),
        }
        self._connect()

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        """Upload a file and verify size and checksum by HEAD."""
        digest, size = sha256_of(path)
        sent = StoredObject(key, size, digest, content_type)
        extra = {"ContentType": content_type, "Metadata": {"sha256": digest}}
        self._call("upload_file", Filename=str(path), Key=key, ExtraArgs=extra, **transfer_options())
        return self._verified(sent)

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        """Upload bytes and verify size and checksum by HEAD."""
        sent = stored_object(key, data, content_type)
        extra = {"ContentType": content_type, "Metadata": {"sha256": sent.sha256}}
        self._call("upload_fileobj", Fileobj=io.BytesIO(data), Key=key, ExtraArgs=extra, **transfer_options())
        self._verified(sent)

    def get_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Download an object, or a range of it."""
        if length == 0:
            return b""
        last = "" if length is None else start + length - 1
        byte_range = {"Range": f"bytes={start}-{last}"} if start or length is not None else {}
        body = self._call("get_object", Key=key, **byte_range)["Body"]
        check = transfer_check.get()
        try:
            data = bytearray()
            for chunk in body.iter_chunks(READ_BYTES):
                data += chunk
                check()
        except (BotoCoreError, HTTPError) as error:
            raise StorageUnavailable(f"the download of {key} from S3 was interrupted: {error}") from error
        return bytes(data)

    def get_file(self, key: str, path: Path) -> None:
        """Download an object in parts."""
        self._call("download_file", Key=key, Filename=str(path), **transfer_options())

    def list(self, prefix: str, most: int | None = None) -> dict[str, int]:
        """List all pages, or as much of the first as is wanted."""
        found: dict[str, int] = {}
        more: dict[str, Any] = {} if most is None else {"MaxKeys": most}
        while True:
            page = self._call("list_objects_v2", Prefix=self.prefix + prefix, **more)
            found |= {each["Key"].removeprefix(self.prefix): each["Size"] for each in page.get("Contents", ())}
            if most is not None or not page.get("IsTruncated"):
                return dict(sorted(found.items()))
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, prefix: str) -> None:
        """Delete a thousand objects per call, the maximum; then, one by one, those that the server has not deleted."""
        keys = list(self.list(prefix))
        for first in range(0, len(keys), MAX_KEYS_PER_DELETION):
            batch = keys[first : first + MAX_KEYS_PER_DELETION]
            for key in sorted(set(batch) - self._delete_batch(batch)):
                with suppress(ObjectNotFound):
                    self._call("delete_object", Key=key)

    def _delete_batch(self, keys: Sequence[str]) -> set[str]:
        """Returns the keys that the server reports as deleted; none if it does not support bulk deletion."""
        if not self._bulk_deletion:
            return set()
        objects = [{"Key": self.prefix + key} for key in keys]
        try:
            # Not quiet, because the status is 200 even if some deletions fail.
            response = self._call("delete_objects", Delete={"Objects": objects, "Quiet": False})
        except (StorageUnavailable, ObjectNotFound) as problem:
            # A server without bulk deletion may respond with something other than S3's XML.
            unparsable = isinstance(problem.__cause__, ResponseParserError)
            code = "no S3" if unparsable else error_code(problem.__cause__)
            if code is None or code in TRANSIENT:
                raise
            log.warning("S3 bulk deletion unavailable, deleting one by one", code=code)
            self._bulk_deletion = code in DENIED
            return set()
        return {each["Key"].removeprefix(self.prefix) for each in response.get("Deleted", ()) if "Key" in each}

    def head(self, key: str) -> StoredObject | None:
        """Read an object's metadata by HEAD."""
        try:
            found = self._call("head_object", Key=key)
        except ObjectNotFound:
            return None
        # Proxies may write the names of headers in capitals, and add a charset.
        metadata = {name.lower(): value for name, value in found["Metadata"].items()}
        content_type = found.get("ContentType", "").partition(";")[0]
        return StoredObject(key, found["ContentLength"], metadata.get("sha256", ""), content_type)

    @property
    def public_url(self) -> str:
        """The server's URL, as clients reach it; with virtual addressing, its host name includes the bucket."""
        parts = urlsplit(str(self._signer.meta.endpoint_url))
        host = f"{self.bucket}.{parts.netloc}" if self._addressing == "virtual" else parts.netloc
        return f"{parts.scheme}://{host}"

    def presign(self, key: str, expires_seconds: int) -> str:
        """A presigned GET."""
        parameters = {"Bucket": self.bucket, "Key": self.prefix + key}
        url: str = self._signer.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires_seconds)
        return url

    def presign_put(self, key: str, content_type: str, size_bytes: int, expires_seconds: int) -> str:
        """A presigned PUT; the signature covers length and type."""
        parameters = {
            "Bucket": self.bucket,
            "Key": self.prefix + key,
            "ContentType": content_type,
            "ContentLength": size_bytes,
        }
        url: str = self._signer.generate_presigned_url("put_object", Params=parameters, ExpiresIn=expires_seconds)
        return url

    def check_multipart(self, key: str, data: bytes) -> None:
        """Raise `StorageUnavailable` if a multipart upload, as used for large files, can't be completed or aborted."""
        upload = {"Key": key, "UploadId": self._call("create_multipart_upload", Key=key)["UploadId"]}
        part = {"PartNumber": 1, "ETag": self._call("upload_part", PartNumber=1, Body=data, **upload)["ETag"]}
        self._call("complete_multipart_upload", MultipartUpload={"Parts": [part]}, **upload)
        aborted = self._call("create_multipart_upload", Key=key)["UploadId"]
        self._call("abort_multipart_upload", Key=key, UploadId=aborted)

    def copy(self, key: str, target: str) -> StoredObject:
        """Copy within the bucket and verify by HEAD."""
        found = self.head(key)
        if found is None:
            raise ObjectNotFound(f"{key} is not in the bucket")
        self._call("copy_object", Key=target, CopySource={"Bucket": self.bucket, "Key": self.prefix + key})
        return self._verified(replace(found, key=target))

    def check(self) -> None:
        """HEAD the bucket."""
        try:
            self._call("head_bucket")
        except ObjectNotFound as error:
            raise StorageUnavailable(f"the bucket {self.bucket} does not exist") from error

    def _connect(self) -> None:
        core = botocore.session.Session()
        session = boto3.session.Session(botocore_session=core)
        core.register_component("data_loader", data_loader())
        client = session.client("s3", **self._options)
        # Also check before each of boto3's own attempts.
        client.meta.events.register("before-send.s3", lambda **_: transfer_check.get()())
        client.meta.events.register("before-call.s3.DeleteObjects", add_md5)
        if self._options["endpoint_url"]:
            client.meta.events.register("before-call.s3", keep_endpoint)
        self._client = client
        # A URL's signature covers its host.
        elsewhere = self._public_endpoint_url != self._options["endpoint_url"]
        public = {**self._options, "endpoint_url": self._public_endpoint_url}
        self._signer = session.client("s3", **public) if elsewhere else client

    def _verified(self, sent: StoredObject) -> StoredObject:
        if self.head(sent.key) != sent:
            raise StorageUnavailable(f"{sent.key} in the bucket {self.bucket} differs from what was uploaded")
        return sent

    def _call(self, operation: str, **arguments: Any) -> Any:
        if "Key" in arguments:
            arguments = {**arguments, "Key": self.prefix + arguments["Key"]}
        try:
            return getattr(self._client, operation)(Bucket=self.bucket, **arguments)
        except (ClientError, BotoCoreError, Boto3Error) as error:
            code = error_code(error)
            if code in MISSING:
                raise ObjectNotFound(f"{arguments.get('Key', self.bucket)} is not in the bucket") from error
            if code in STALE_CREDENTIALS:
                # A new client reads a role's current credentials; the next attempt uses them.
                self._connect()
            outcome = "rejected" if code else "did not respond to"
            raise StorageUnavailable(f"S3 {outcome} {operation}: {error}") from error


def add_md5(params: dict[str, Any], **_: Any) -> None:
    """Add the header that many servers require for bulk deletion and that boto3 no longer sends."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


def keep_endpoint(params: dict[str, Any], **_: Any) -> None:
    """Keep botocore from taking a redirect of another server for S3's to a region, which it searches without end."""
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


def error_code(error: BaseException | None) -> str | None:
    """The code in S3's error response; None if there was no response."""
    while error is not None and not isinstance(error, ClientError):
        # File uploads wrap the error.
        error = error.__context__
    return error.response["Error"]["Code"] if error else None


def transfer_options() -> dict[str, Any]:
    """Options with which a transfer calls `transfer_check` in the caller's context, which its threads don't inherit."""
    check, context = transfer_check.get(), copy_context()
    # Several threads can't be in one context.
    return {"Config": TRANSFER, "Callback": lambda _: context.copy().run(check)}
