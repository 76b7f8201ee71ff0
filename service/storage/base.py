"""The interface of a storage."""

import errno
import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


def never_interrupt() -> None:
    """An `interrupt` that never raises."""


transfer_check: ContextVar[Callable[[], None]] = ContextVar("transfer_check", default=never_interrupt)
"""Called regularly during a transfer; raises to abort it."""


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""The disk, or its user's quota, is full."""


@dataclass(frozen=True)
class StoredObject:
    """An object in the storage; `sha256` is in hexadecimal."""

    key: str
    bytes: int
    sha256: str
    content_type: str


class ObjectStore(Protocol):
    """Every method raises `StorageUnavailable` if the storage fails or does not respond."""

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        """Store a file and verify it."""
        ...

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        """Store bytes and verify them."""
        ...

    def get_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object, or a range of it; raises `ObjectNotFound`."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Write the object to a file; raises `ObjectNotFound`, and `OSError` if that file's disk is full."""
        ...

    def list(self, prefix: str, most: int | None = None) -> dict[str, int]:
        """Sizes in bytes by key, sorted, of all objects whose keys start with the prefix, or of `most` of them."""
        ...

    def delete(self, prefix: str) -> None:
        """Delete all objects whose keys start with the prefix."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """Metadata of the object, or None if it does not exist."""
        ...

    @property
    def public_url(self) -> str:
        """Base of presigned URLs, as clients reach it."""
        ...

    def presign(self, key: str, expires_seconds: int) -> str:
        """A URL from which anyone can download the object until it expires."""
        ...

    def presign_put(self, key: str, content_type: str, size_bytes: int, expires_seconds: int) -> str | None:
        """A URL that accepts exactly `size_bytes` by PUT until it expires; None if the storage has no such URLs."""
        ...

    def copy(self, key: str, target: str) -> StoredObject:
        """Copy an object to another key; raises `ObjectNotFound`."""
        ...

    def check(self) -> None:
        """Raise `StorageUnavailable` if objects cannot be stored now."""
        ...


def stored_object(key: str, data: bytes, content_type: str) -> StoredObject:
    """What `put_bytes` stores. It does not return it, because few callers need the digest, which takes long."""
    return StoredObject(key, len(data), hashlib.sha256(data).hexdigest(), content_type)


def store_bytes(storage: ObjectStore, key: str, data: bytes, content_type: str) -> StoredObject:
    """Store bytes, and return what is stored then."""
    storage.put_bytes(key, data, content_type)
    return stored_object(key, data, content_type)


def sha256_of(path: Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal and size in bytes of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()
