"""What the service asks of a storage, whatever stands behind it."""

import errno
import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


def nobody_minds() -> None:
    """There is no reason to stop."""


watch: ContextVar[Callable[[], None]] = ContextVar("watch", default=nobody_minds)
"""What a transfer asks now and then; raises where it is to be broken off."""


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where a disk, or its user's share of it, is full."""


@dataclass(frozen=True)
class StoredObject:
    """An object in the storage; `sha256` in hexadecimal."""

    key: str
    bytes: int
    sha256: str
    content_type: str


class ObjectStore(Protocol):
    """Every method raises `StorageUnavailable` where the storage does not answer."""

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        """Store a file and read back that it arrived whole."""
        ...

    def put_bytes(self, key: str, data: bytes, content_type: str) -> StoredObject:
        """Store bytes and read back that they arrived whole."""
        ...

    def get_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The object's bytes, or some of them; raises `ObjectNotFound`."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Write the object to a file; raises `ObjectNotFound`, and `OSError` where that file's own disk is full."""
        ...

    def list(self, prefix: str) -> dict[str, int]:
        """Sizes in bytes of all objects whose keys begin so, by key, sorted."""
        ...

    def delete(self, prefix: str) -> None:
        """Remove all objects whose keys begin so."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """What is stored under a key, or None."""
        ...

    @property
    def public_url(self) -> str:
        """Where the URLs that are presigned lead, as clients see it."""
        ...

    def presign(self, key: str, expires_seconds: int) -> str:
        """A URL that anyone may download the object from until it expires."""
        ...

    def presign_put(self, key: str, content_type: str, size_bytes: int, expires_seconds: int) -> str | None:
        """A URL that takes exactly so many bytes by PUT until it expires; None where there can be none."""
        ...

    def copy(self, key: str, target: str) -> StoredObject:
        """Store an object under another key, too; raises `ObjectNotFound`."""
        ...

    def check(self) -> None:
        """Raise `StorageUnavailable` where objects cannot be stored now."""
        ...


def sha256_of(path: Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal and bytes of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()
