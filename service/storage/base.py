"""What the service asks of a storage, whatever stands behind it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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

    def get_bytes(self, key: str) -> bytes:
        """The object's bytes; raises `ObjectNotFound`."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """What is stored under a key, or None."""
        ...

    def presign(self, key: str, expires_seconds: int) -> str:
        """A URL that anyone may download the object from until it expires."""
        ...

    def check(self) -> None:
        """Raise `StorageUnavailable` where objects cannot be stored now."""
        ...
