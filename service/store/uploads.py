"""Uploads: files that a client sends once to use in several jobs. They belong to a tenant and expire."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis

from service.contract.problems import ObjectNotFound, UploadUnknown
from service.contract.record import id_created_at, new_id
from service.contract.storage_keys import upload_item, upload_key, upload_of
from service.storage import ObjectStore, StoredObject, store_bytes
from service.storage.deletion import POSTPONED_SECONDS, delete_each
from service.store.keys import KEPT, UPLOADS, tenant_key
from service.store.quotas import UNLIMITED, Limits, require_room
from service.store.scripts import RedisScripts

PREFIX = "upl_"
MAX_SWEPT = 100


@dataclass(frozen=True)
class Upload:
    """A stored file, or a location reserved for one."""

    id: str
    stored: StoredObject
    expires_at: datetime


class Uploads:
    """Every method raises `StorageUnavailable` or `QueueUnavailable` if one of them does not respond.

    Times are on Redis' clock.
    """

    def __init__(self, storage: ObjectStore, client: redis.Redis, seconds: int, limits: Limits = UNLIMITED) -> None:
        self._redis = RedisScripts(client)
        self.storage, self.seconds, self._limits = storage, seconds, limits

    def put(self, tenant: str, data: bytes, content_type: str) -> Upload:
        """Store a file.

        Raises:
            QuotaReached: the tenant's limit of stored bytes is reached.
        """
        upload_id = new_id(PREFIX, self._redis.now_ms())
        self._reserve(tenant, upload_id, len(data))
        return self._upload(upload_id, store_bytes(self.storage, upload_key(tenant, upload_id), data, content_type))

    def presign(self, tenant: str, content_type: str, size_bytes: int) -> tuple[Upload, str] | None:
        """Reserve a location, with a URL to PUT exactly that many bytes; None if only the API can store files.

        Raises:
            QuotaReached: the tenant's limit of stored bytes is reached.
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
            UploadUnknown: it does not exist, belongs to another tenant, has expired, or was never sent.
        """
        made = id_created_at(PREFIX, upload_id)
        expired = made is None or self._redis.now() - made > timedelta(seconds=self.seconds)
        stored = None if expired else self.storage.head(upload_key(tenant, upload_id))
        if stored is None:
            raise unknown(field_name)
        return self._upload(upload_id, stored)

    def sweep(self) -> bool:
        """Delete some expired uploads, and postpone those that cannot be deleted.

        Returns whether there may be more to delete now.
        """
        due = [
            each.decode() for each in self._redis.call("zrangebyscore", UPLOADS, "-inf", self._seconds(), 0, MAX_SWEPT)
        ]
        removed = 0
        for key, is_gone in zip(due, delete_each(self.storage, [[key] for key in due]), strict=True):
            if is_gone:
                tenant, upload_id = upload_of(key)
                keys = {"uploads": UPLOADS, "kept": KEPT + tenant}
                removed += self._redis.run("release", keys, {"key": key, "item": upload_item(upload_id)})
            else:
                self._redis.call("zadd", UPLOADS, {key: self._seconds() + POSTPONED_SECONDS}, xx=True)
        return len(due) == MAX_SWEPT and removed > 0

    def _seconds(self) -> float:
        return self._redis.now_ms() / 1000

    def _reserve(self, tenant: str, upload_id: str, size_bytes: int) -> None:
        """Reserve space for an upload and schedule its deletion, before anything is stored."""
        args = {
            "key": upload_key(tenant, upload_id),
            "item": upload_item(upload_id),
            "seconds": self.seconds,
            "bytes": size_bytes,
            "limits": self._limits.as_arguments(),
        }
        keys = {"uploads": UPLOADS, "kept": KEPT + tenant, "tenant": tenant_key(tenant)}
        require_room(self._redis.run("reserve", keys, args).decode())

    def _upload(self, upload_id: str, stored: StoredObject) -> Upload:
        made = id_created_at(PREFIX, upload_id)
        assert made is not None
        return Upload(upload_id, stored, made + timedelta(seconds=self.seconds))


def unknown(field_name: str) -> UploadUnknown:
    """The problem for a field that refers to a missing upload."""
    problem = UploadUnknown("the upload does not exist or has expired; create one with POST /uploads")
    problem.point_at(field_name)
    return problem


@contextmanager
def reading(field_name: str) -> Iterator[None]:
    """Raise `UploadUnknown` if an upload disappears before its bytes are read."""
    try:
        yield
    except ObjectNotFound as error:
        raise unknown(field_name) from error
