"""Files that a client sends once and names in its jobs: raw, a tenant's own, never served, gone when they expire."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from service.errors import ObjectNotFound, QueueUnavailable, UploadUnknown
from service.jobs.keys import UPLOADS
from service.jobs.model import made_at, new_id
from service.storage import ObjectStore, StoredObject
from service.storage.deletion import POSTPONED_SECONDS, delete_each

PREFIX = "upl_"
MOST_SWEPT = 100


@dataclass(frozen=True)
class Upload:
    """A file in the storage, or a place for one."""

    id: str
    stored: StoredObject
    expires_at: datetime


@dataclass(frozen=True)
class Uploads:
    """Raises `StorageUnavailable` or `QueueUnavailable` where one of the two does not answer."""

    storage: ObjectStore
    redis: redis.Redis
    seconds: int

    def put(self, tenant: str, data: bytes, content_type: str) -> Upload:
        """Store a file."""
        upload_id = self._announce(tenant)
        return self._upload(upload_id, self.storage.put_bytes(upload_key(tenant, upload_id), data, content_type))

    def presign(self, tenant: str, content_type: str, size_bytes: int) -> tuple[Upload, str] | None:
        """A place, and the URL to PUT exactly so many bytes there; None where only the API itself can store."""
        upload_id = new_id(PREFIX)
        key = upload_key(tenant, upload_id)
        url = self.storage.presign_put(key, content_type, size_bytes, self.seconds)
        if url is None:
            return None
        self._announce(tenant, upload_id)
        return self._upload(upload_id, StoredObject(key, size_bytes, "", content_type)), url

    def find(self, tenant: str, upload_id: str, field_name: str) -> Upload:
        """A tenant's upload.

        Raises:
            UploadUnknown: there is none, it is another's, it has expired, or its bytes never came.
        """
        made = made_at(PREFIX, upload_id)
        expired = made is None or datetime.now(UTC) - made > timedelta(seconds=self.seconds)
        stored = None if expired else self.storage.head(upload_key(tenant, upload_id))
        if stored is None:
            raise unknown(field_name)
        return self._upload(upload_id, stored)

    def sweep(self) -> bool:
        """Remove some of what has expired, and postpone what cannot be removed.

        Returns whether there may be more that can be removed now.
        """
        try:
            due: Any = self.redis.zrangebyscore(UPLOADS, "-inf", time.time(), 0, MOST_SWEPT)
            removed = 0
            for key, is_gone in zip(due, delete_each(self.storage, [[key.decode()] for key in due]), strict=True):
                if is_gone:
                    removed += self.redis.zrem(UPLOADS, key)
                else:
                    self.redis.zadd(UPLOADS, {key: time.time() + POSTPONED_SECONDS}, xx=True)
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        return len(due) == MOST_SWEPT and removed > 0

    def _announce(self, tenant: str, upload_id: str | None = None) -> str:
        """Remember when to remove an upload, before there is anything to remove."""
        upload_id = upload_id or new_id(PREFIX)
        try:
            self.redis.zadd(UPLOADS, {upload_key(tenant, upload_id): time.time() + self.seconds})
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        return upload_id

    def _upload(self, upload_id: str, stored: StoredObject) -> Upload:
        made = made_at(PREFIX, upload_id)
        assert made is not None
        return Upload(upload_id, stored, made + timedelta(seconds=self.seconds))


def unknown(field_name: str) -> UploadUnknown:
    """The problem of an upload that a field names and that is not there."""
    problem = UploadUnknown("there is no such upload, or no longer; POST /uploads makes one")
    problem.point_at(field_name)
    return problem


@contextmanager
def reading(field_name: str) -> Iterator[None]:
    """Raise `UploadUnknown` where an upload, found a moment ago, is gone by the time its bytes are asked for."""
    try:
        yield
    except ObjectNotFound as error:
        raise unknown(field_name) from error


def upload_key(tenant: str, upload_id: str) -> str:
    """Where an upload lies in the storage."""
    return f"uploads/{tenant}/{upload_id}"
