"""Objects in an S3-compatible bucket, through boto3."""

import base64
import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
import structlog
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from service.contract.problems import ObjectNotFound, StorageUnavailable
from service.storage.base import StoredObject, sha256_of, watch
from service.storage.deletion import AT_ONCE

log = structlog.get_logger()

TRANSFER = TransferConfig(multipart_threshold=64 * 1024 * 1024, multipart_chunksize=64 * 1024 * 1024, max_concurrency=4)
MOST_DELETED = 1000
READ_BYTES = 64 * 1024
MISSING = ("404", "NoSuchKey", "NotFound")
TRANSIENT = (
    *("InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "Throttling", "500", "502", "503", "504"),
    *("NoSuchBucket", "RequestTimeTooSkewed", "ExpiredToken", "ExpiredTokenException"),
)
"""What the next try may be spared; everything else says that several cannot be deleted at once."""
DENIED = ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
"""A matter of rights, which may be given any time."""
STALE_CREDENTIALS = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidAccessKeyId")


Addressing = Literal["path", "virtual"]


def client_config(answer_seconds: float, attempts: int, addressing: Addressing = "path") -> Config:
    """How boto3 works here."""
    return Config(
        signature_version="s3v4",
        # Another server of the same name may answer, so it is not worth waiting long for one that does not.
        connect_timeout=min(5.0, answer_seconds),
        # Silence on the line, not the time of a transfer: a slow link is no failure.
        read_timeout=answer_seconds,
        # For a part of a large file, which else would begin anew, and a kept connection that the server has closed.
        # Outages are waited out by `PatientStore`, which can be told to stop and knows how long it may take.
        retries={"total_max_attempts": attempts, "mode": "standard"},
        # What deletes at once need not connect anew.
        max_pool_connections=AT_ONCE,
        s3={"addressing_style": addressing},
        # Those servers refuse the newer trailers, so checksums go only where S3 itself requires them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


class S3Store:
    """A bucket, or what is below a prefix of it."""

    def __init__(
        self,
        bucket: str,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        answer_seconds: float = 30,
        attempts: int = 3,
        public_endpoint_url: str | None = None,
        session_token: str | None = None,
        addressing: Addressing = "path",
        prefix: str = "",
    ) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._addressing = addressing
        self._deletes_many = True
        self._public_endpoint_url = public_endpoint_url or endpoint_url
        self._options = {
            "endpoint_url": endpoint_url,
            "region_name": region,
            "aws_access_key_id": access_key_id,
            "aws_secret_access_key": secret_access_key,
            "aws_session_token": session_token,
            "config": client_config(answer_seconds, attempts, addressing),
        }
        self._connect()

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        """Upload a file and compare size and checksum by HEAD."""
        digest, size = sha256_of(path)
        sent = StoredObject(key, size, digest, content_type)
        about = {"ContentType": content_type, "Metadata": {"sha256": digest}}
        self._call("upload_file", Filename=str(path), Key=key, ExtraArgs=about, **asking())
        return self._arrived(sent)

    def put_bytes(self, key: str, data: bytes, content_type: str) -> StoredObject:
        """Upload bytes and compare size and checksum by HEAD."""
        sent = StoredObject(key, len(data), hashlib.sha256(data).hexdigest(), content_type)
        about = {"ContentType": content_type, "Metadata": {"sha256": sent.sha256}}
        self._call("upload_fileobj", Fileobj=io.BytesIO(data), Key=key, ExtraArgs=about, **asking())
        return self._arrived(sent)

    def get_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Download an object, or a range of it."""
        if length == 0:
            return b""
        last = "" if length is None else start + length - 1
        ranged = {"Range": f"bytes={start}-{last}"} if start or length is not None else {}
        body = self._call("get_object", Key=key, **ranged)["Body"]
        ask = watch.get()
        try:
            data = bytearray()
            for chunk in body.iter_chunks(READ_BYTES):
                data += chunk
                ask()
        except (BotoCoreError, HTTPError) as error:
            raise StorageUnavailable(f"S3 broke off {key}: {error}") from error
        return bytes(data)

    def get_file(self, key: str, path: Path) -> None:
        """Download an object in parts."""
        self._call("download_file", Key=key, Filename=str(path), **asking())

    def list(self, prefix: str) -> dict[str, int]:
        """Ask for all pages of the listing."""
        found: dict[str, int] = {}
        more: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=self.prefix + prefix, **more)
            found |= {each["Key"].removeprefix(self.prefix): each["Size"] for each in page.get("Contents", ())}
            if not page.get("IsTruncated"):
                return dict(sorted(found.items()))
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, prefix: str) -> None:
        """Delete a thousand at a time, as many as S3 takes; what a server does not delete so, one by one."""
        keys = list(self.list(prefix))
        for first in range(0, len(keys), MOST_DELETED):
            some = keys[first : first + MOST_DELETED]
            for key in sorted(set(some) - self._deleted(some)):
                with suppress(ObjectNotFound):
                    self._call("delete_object", Key=key)

    def _deleted(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that the server says it has deleted; none where it cannot delete several at once."""
        if not self._deletes_many:
            return set()
        objects = [{"Key": self.prefix + key} for key in keys]
        try:
            # Named each: the whole is answered with 200, whatever became of them.
            answer = self._call("delete_objects", Delete={"Objects": objects, "Quiet": False})
        except (StorageUnavailable, ObjectNotFound) as problem:
            # What is no answer of S3 says as much as a refusal.
            unread = isinstance(problem.__cause__, ResponseParserError)
            code = "no S3" if unread else refusal(problem.__cause__)
            if code is None or code in TRANSIENT:
                raise
            log.warning("S3 deletes one by one", code=code)
            self._deletes_many = code in DENIED
            return set()
        return {each["Key"].removeprefix(self.prefix) for each in answer.get("Deleted", ()) if "Key" in each}

    def head(self, key: str) -> StoredObject | None:
        """What the bucket says of a key."""
        try:
            found = self._call("head_object", Key=key)
        except ObjectNotFound:
            return None
        return StoredObject(key, found["ContentLength"], found["Metadata"].get("sha256", ""), found["ContentType"])

    @property
    def public_url(self) -> str:
        """The server's, as clients reach it; the bucket is a part of its name where it is addressed so."""
        parts = urlsplit(str(self._signer.meta.endpoint_url))
        host = f"{self.bucket}.{parts.netloc}" if self._addressing == "virtual" else parts.netloc
        return f"{parts.scheme}://{host}"

    def presign(self, key: str, expires_seconds: int) -> str:
        """A presigned GET."""
        parameters = {"Bucket": self.bucket, "Key": self.prefix + key}
        url: str = self._signer.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires_seconds)
        return url

    def presign_put(self, key: str, content_type: str, size_bytes: int, expires_seconds: int) -> str:
        """A presigned PUT, whose length and type are signed."""
        about = {
            "Bucket": self.bucket,
            "Key": self.prefix + key,
            "ContentType": content_type,
            "ContentLength": size_bytes,
        }
        url: str = self._signer.generate_presigned_url("put_object", Params=about, ExpiresIn=expires_seconds)
        return url

    def check_parts(self, key: str, data: bytes) -> None:
        """Raise `StorageUnavailable` where an upload in parts, as large files go, cannot be made or broken off."""
        upload = {"Key": key, "UploadId": self._call("create_multipart_upload", Key=key)["UploadId"]}
        part = {"PartNumber": 1, "ETag": self._call("upload_part", PartNumber=1, Body=data, **upload)["ETag"]}
        self._call("complete_multipart_upload", MultipartUpload={"Parts": [part]}, **upload)
        again = self._call("create_multipart_upload", Key=key)["UploadId"]
        self._call("abort_multipart_upload", Key=key, UploadId=again)

    def copy(self, key: str, target: str) -> StoredObject:
        """Have the bucket copy, and compare by HEAD."""
        found = self.head(key)
        if found is None:
            raise ObjectNotFound(f"{key} is not in the bucket")
        self._call("copy_object", Key=target, CopySource={"Bucket": self.bucket, "Key": self.prefix + key})
        return self._arrived(replace(found, key=target))

    def check(self) -> None:
        """Ask for the bucket."""
        try:
            self._call("head_bucket")
        except ObjectNotFound as error:
            raise StorageUnavailable(f"the bucket {self.bucket} does not exist") from error

    def _connect(self) -> None:
        session = boto3.session.Session()
        client = session.client("s3", **self._options)
        # boto3 asks before each of its own tries, too.
        client.meta.events.register("before-send.s3", lambda **_: watch.get()())
        client.meta.events.register("before-call.s3.DeleteObjects", add_md5)
        self._client = client
        # A URL's signature covers its host.
        elsewhere = self._public_endpoint_url != self._options["endpoint_url"]
        public = {**self._options, "endpoint_url": self._public_endpoint_url}
        self._signer = session.client("s3", **public) if elsewhere else client

    def _arrived(self, sent: StoredObject) -> StoredObject:
        if self.head(sent.key) != sent:
            raise StorageUnavailable(f"{sent.key} did not arrive whole in the bucket {self.bucket}")
        return sent

    def _call(self, operation: str, **arguments: Any) -> Any:
        if "Key" in arguments:
            arguments = {**arguments, "Key": self.prefix + arguments["Key"]}
        try:
            return getattr(self._client, operation)(Bucket=self.bucket, **arguments)
        except (ClientError, BotoCoreError, Boto3Error) as error:
            code = refusal(error)
            if code in MISSING:
                raise ObjectNotFound(f"{arguments.get('Key', self.bucket)} is not in the bucket") from error
            if code in STALE_CREDENTIALS:
                # A new client reads a role's credentials anew; the next try has them.
                self._connect()
            what = "refused" if code else "does not answer"
            raise StorageUnavailable(f"S3 {what} {operation}: {error}") from error


def add_md5(params: dict[str, Any], **_: Any) -> None:
    """What many servers ask for where several are deleted, and boto3 sends no more."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


def refusal(error: BaseException | None) -> str | None:
    """The code by which S3 refused; None where it did not answer."""
    while error is not None and not isinstance(error, ClientError):
        # Uploads of files wrap it.
        error = error.__context__
    return error.response["Error"]["Code"] if error else None


def asking() -> dict[str, Any]:
    """Options of a transfer by which it asks whether to go on; its threads have no context of their own."""
    ask = watch.get()
    return {"Config": TRANSFER, "Callback": lambda _: ask()}
