"""Objects in an S3-compatible bucket, through boto3."""

import hashlib
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from service.errors import ObjectNotFound, StorageUnavailable
from service.storage.base import StoredObject

# Path style because most self-hosted servers resolve no bucket names; checksums only where S3 itself requires them,
# because those servers refuse the newer trailers.
CLIENT = Config(
    signature_version="s3v4",
    connect_timeout=5,
    read_timeout=30,
    retries={"max_attempts": 3, "mode": "standard"},
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class S3Store:
    """A bucket."""

    def __init__(
        self,
        bucket: str,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        self.bucket = bucket
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=region,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            config=CLIENT,
        )

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        """Upload a file and compare size and checksum by HEAD."""
        return self.put_bytes(key, path.read_bytes(), content_type)

    def put_bytes(self, key: str, data: bytes, content_type: str) -> StoredObject:
        """Upload bytes and compare size and checksum by HEAD."""
        sent = StoredObject(key, len(data), hashlib.sha256(data).hexdigest(), content_type)
        self._call("put_object", Key=key, Body=data, ContentType=content_type, Metadata={"sha256": sent.sha256})
        if self.head(key) != sent:
            raise StorageUnavailable(f"{key} did not arrive whole in the bucket {self.bucket}")
        return sent

    def get_bytes(self, key: str) -> bytes:
        """Download an object."""
        data: bytes = self._call("get_object", Key=key)["Body"].read()
        return data

    def head(self, key: str) -> StoredObject | None:
        """What the bucket says of a key."""
        try:
            found = self._call("head_object", Key=key)
        except ObjectNotFound:
            return None
        return StoredObject(key, found["ContentLength"], found["Metadata"].get("sha256", ""), found["ContentType"])

    def presign(self, key: str, expires_seconds: int) -> str:
        """A presigned GET."""
        parameters = {"Bucket": self.bucket, "Key": key}
        url: str = self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires_seconds)
        return url

    def check(self) -> None:
        """Ask for the bucket."""
        try:
            self._call("head_bucket")
        except ObjectNotFound as error:
            raise StorageUnavailable(f"the bucket {self.bucket} does not exist") from error

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(Bucket=self.bucket, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                raise ObjectNotFound(f"{arguments.get('Key', self.bucket)} is not in the bucket") from error
            raise StorageUnavailable(f"S3 refused {operation}: {error}") from error
        except BotoCoreError as error:
            raise StorageUnavailable(f"S3 does not answer {operation}: {error}") from error
