"""Files that a client sends once and names in its jobs: raw, a tenant's own, never served, gone when they expire."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis

from service.contract.problems import ObjectNotFound, UploadUnknown
from service.contract.record import id_created_at, new_id
from service.storage import ObjectStore, StoredObject
from service.storage.deletion import POSTPONED_SECONDS, delete_each
from service.store.keys import KEPT, UPLOADS, tenant_key
from service.store.quotas import UNLIMITED, Limits, require_room
from service.store.scripts import RedisScripts

PREFIX = "upl_"
MOST_SWEPT = 100


@dataclass(frozen=True)
class Upload:
    """A file in the storage, or a place for one."""

    id: str
    stored: StoredObject
    expires_at: datetime


class Uploads:
    """Raises `StorageUnavailable` or `QueueUnavailable` where one of the two does not answer.

    Times are of Redis' clock.
    """

    def __init__(self, storage: ObjectStore, client: redis.Redis, seconds: int, limits: Limits = UNLIMITED) -> None:
        self._redis = RedisScripts(client)
        self.storage, self.seconds, self._limits = storage, seconds, limits

    def put(self, tenant: str, data: bytes, content_type: str) -> Upload:
        """Store a file.

        Raises:
            QuotaReached: there is no room for it beside all that is kept for the tenant.
        """
        upload_id = new_id(PREFIX, self._redis.now_ms())
        self._reserve(tenant, upload_id, len(data))
        return self._upload(upload_id, self.storage.put_bytes(upload_key(tenant, upload_id), data, content_type))

    def presign(self, tenant: str, content_type: str, size_bytes: int) -> tuple[Upload, str] | None:
        """A place, and the URL to PUT exactly so many bytes there; None where only the API itself can store.

        Raises:
            QuotaReached: likewise.
        """
        upload_id = new_id(PREFIX, self._redis.now_ms())
        key = upload_key(tenant, upload_id)
        url = self.storage.presign_put(key, content_type, size_bytes, self.seconds)
        if url is None:
            return None
        self._reserve(tenant, upload_id, size_bytes)
        return self._upload(upload_id, StoredObject(key, size_bytes, "", content_type)), url

    def find(self, tenant: str, upload_id: str, field_name: str) -> Upload:
        """A tenant's upload.

        Raises:
            UploadUnknown: there is none, it is another's, it has expired, or its bytes never came.
        """
        made = id_created_at(PREFIX, upload_id)
        expired = made is None or self._redis.now() - made > timedelta(seconds=self.seconds)
        stored = None if expired else self.storage.head(upload_key(tenant, upload_id))
        if stored is None:
            raise unknown(field_name)
        return self._upload(upload_id, stored)

    def sweep(self) -> bool:
        """Remove some of what has expired, and postpone what cannot be removed.

        Returns whether there may be more that can be removed now.
        """
        due = [
            each.decode() for each in self._redis.call("zrangebyscore", UPLOADS, "-inf", self._seconds(), 0, MOST_SWEPT)
        ]
        removed = 0
        for key, is_gone in zip(due, delete_each(self.storage, [[key] for key in due]), strict=True):
            if is_gone:
                _, tenant, upload_id = key.split("/")
                keys = {"uploads": UPLOADS, "kept": KEPT + tenant}
                removed += self._redis.run("release", keys, {"key": key, "item": item(upload_id)})
            else:
                self._redis.call("zadd", UPLOADS, {key: self._seconds() + POSTPONED_SECONDS}, xx=True)
        return len(due) == MOST_SWEPT and removed > 0

    def _seconds(self) -> float:
        return self._redis.now_ms() / 1000

    def _reserve(self, tenant: str, upload_id: str, size_bytes: int) -> None:
        """Make room for an upload, and note when to remove it, before there is anything to remove."""
        args = {
            "key": upload_key(tenant, upload_id),
            "item": item(upload_id),
            "seconds": self.seconds,
            "bytes": size_bytes,
            "limits": self._limits.as_asked(),
        }
        keys = {"uploads": UPLOADS, "kept": KEPT + tenant, "tenant": tenant_key(tenant)}
        require_room(self._redis.run("reserve", keys, args).decode())

    def _upload(self, upload_id: str, stored: StoredObject) -> Upload:
        made = id_created_at(PREFIX, upload_id)
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


def item(upload_id: str) -> str:
    """What an upload is called among what is kept for its tenant."""
    return f"uploads/{upload_id}"


def upload_key(tenant: str, upload_id: str) -> str:
    """Where an upload lies in the storage."""
    return f"uploads/{tenant}/{upload_id}"
