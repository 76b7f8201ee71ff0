"""Objects as files of one folder, the embedded default; their URLs are signed and served by the API itself."""

import hashlib
import hmac
import json
import os
import secrets
import time
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlencode

from service.errors import Forbidden, ObjectNotFound, StorageUnavailable
from service.storage.base import StoredObject

FILES_PATH = "/files"


class LocalStore:
    """A folder: `data/<key>` beside `meta/<key>.json`."""

    def __init__(self, folder: Path, public_base_url: str, signing_key: str) -> None:
        self._folder = folder.resolve()
        self._base_url = public_base_url.rstrip("/")
        self._signing_key = signing_key.encode()

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        """Copy a file in."""
        return self.put_bytes(key, path.read_bytes(), content_type)

    def put_bytes(self, key: str, data: bytes, content_type: str) -> StoredObject:
        """Write bytes; whoever reads meanwhile sees the old object or the new one, never a part."""
        stored = StoredObject(key, len(data), hashlib.sha256(data).hexdigest(), content_type)
        try:
            replace(self.path(key), data)
            replace(self._meta_path(key), json.dumps(vars(stored)).encode())
        except OSError as error:
            raise StorageUnavailable(f"cannot write {key}: {error}") from error
        return stored

    def get_bytes(self, key: str) -> bytes:
        """Read an object."""
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{key} is not in the storage") from error
        except OSError as error:
            raise StorageUnavailable(f"cannot read {key}: {error}") from error

    def head(self, key: str) -> StoredObject | None:
        """What is known of a key."""
        try:
            return StoredObject(**json.loads(self._meta_path(key).read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnavailable(f"cannot read {key}: {error}") from error

    def presign(self, key: str, expires_seconds: int) -> str:
        """A URL below `/files` of the API, signed with HMAC-SHA256 over key and expiry."""
        expires = int(time.time()) + expires_seconds
        query = urlencode({"expires": expires, "signature": self._sign(key, expires)})
        return f"{self._base_url}{FILES_PATH}/{quote(key)}?{query}"

    def verify(self, key: str, expires: int, signature: str) -> None:
        """Raise `Forbidden` where a URL was not signed here or has expired."""
        if not hmac.compare_digest(self._sign(key, expires).encode(), signature.encode()):
            raise Forbidden("the signature does not match this file")
        if expires < time.time():
            raise Forbidden("this URL has expired; GET the job for a new one")

    def check(self) -> None:
        """Write and remove a file."""
        probe = self._folder / f".probe-{secrets.token_hex(4)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StorageUnavailable(f"cannot write to the storage folder: {error}") from error

    def path(self, key: str) -> Path:
        """The file that holds an object; raises `ObjectNotFound` for keys that point outside the folder."""
        if not key or key.startswith("/") or ".." in PurePosixPath(key).parts or "\0" in key:
            raise ObjectNotFound(f"{key!r} is no key")
        return self._folder / "data" / key

    def _meta_path(self, key: str) -> Path:
        self.path(key)
        return self._folder / "meta" / f"{key}.json"

    def _sign(self, key: str, expires: int) -> str:
        return hmac.new(self._signing_key, f"{key}\n{expires}".encode(), hashlib.sha256).hexdigest()


def replace(path: Path, data: bytes) -> None:
    """Write a file beside its place, flush it to the disk and move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
