"""Objects as files in a folder, the default; the API itself signs and serves their URLs."""

import errno
import hashlib
import hmac
import json
import mimetypes
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlencode

from service.contract.problems import Forbidden, ObjectNotFound, StorageUnavailable
from service.storage.base import DISK_FULL, StoredObject, sha256_of, stored_object
from service.storage.writing import TEMPORARY, remove_empty, write_atomically

FILES_PATH = "/files"
COPY_BUFFER_BYTES = 1024 * 1024
PROBE_BYTES = 64 * 1024


class LocalStore:
    """A folder with `data/<key>`, and `meta/<key>.json` unless `head` can derive the metadata quickly."""

    def __init__(self, folder: Path, public_base_url: str, signing_key: str, min_free_bytes: int = 0) -> None:
        self._folder = folder.resolve()
        self._data, self._meta = self._folder / "data", self._folder / "meta"
        self._min_free_bytes = min_free_bytes
        self._base_url = public_base_url.rstrip("/")
        self._signing_key = signing_key.encode()

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        """Copy a file in."""
        digest, size = sha256_of(path)
        stored = StoredObject(key, size, digest, content_type)
        with write_errors(key):
            write_atomically(self.path(key), lambda file: copy(path, file))
            self._write_metadata(stored)
        return stored

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        """Write bytes; concurrent readers see the old object or the new one, never a mixture."""
        with write_errors(key):
            write_atomically(self.path(key), lambda file: file.write(data))
            if content_type == mimetypes.guess_type(key)[0]:
                # `head` can derive it. Hashing such an object again costs less than a second file, and few ever are.
                self._meta_path(key).unlink(missing_ok=True)
            else:
                self._write_metadata(stored_object(key, data, content_type))

    def get_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object."""
        try:
            with self.path(key).open("rb") as file:
                file.seek(start)
                return file.read(-1 if length is None else length)
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{key} is not in the storage") from error
        except OSError as error:
            raise StorageUnavailable(f"cannot read {key}: {error}") from error

    def get_file(self, key: str, path: Path) -> None:
        """Copy an object out."""
        try:
            shutil.copyfile(self.path(key), path)
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{key} is not in the storage") from error
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            raise StorageUnavailable(f"cannot read {key}: {error}") from error

    def list(self, prefix: str, most: int | None = None) -> dict[str, int]:
        """Walk the prefix's folder; symbolic links count only if they lead to files in it."""
        self.path(prefix)
        root = self._data
        try:
            folder = folder_of(root, prefix).resolve()
            sizes = (
                (path.relative_to(root).as_posix(), size_of(path))
                for path in files_below(root, prefix)
                if not path.name.startswith(TEMPORARY) and stays_within(path, folder)
            )
            found = dict(islice(((key, size) for key, size in sizes if size is not None), most))
        except OSError as error:
            raise StorageUnavailable(f"cannot list {prefix}: {error}") from error
        return dict(sorted(found.items()))

    def delete(self, prefix: str) -> None:
        """Remove data and metadata of each object, temporary files of dead writers, and folders left empty."""
        self.path(prefix)
        try:
            for root in (self._data, self._meta):
                for path in list(files_below(root, prefix)):
                    path.unlink(missing_ok=True)
                    remove_empty(path.parent, root)
        except OSError as error:
            raise StorageUnavailable(f"cannot delete {prefix}: {error}") from error

    def head(self, key: str) -> StoredObject | None:
        """Read an object's metadata."""
        try:
            return StoredObject(**json.loads(self._meta_path(key).read_bytes()))
        except (FileNotFoundError, ValueError):
            return self._derive_metadata(key)
        except OSError as error:
            raise StorageUnavailable(f"cannot read {key}: {error}") from error

    def _write_metadata(self, stored: StoredObject) -> None:
        # Not flushed to the disk: if a power cut takes it, `head` derives it from the object.
        content = json.dumps(vars(stored)).encode()
        write_atomically(self._meta_path(stored.key), lambda file: file.write(content), flush=False)

    def _derive_metadata(self, key: str) -> StoredObject | None:
        try:
            digest, size = sha256_of(self.path(key))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise StorageUnavailable(f"cannot read {key}: {error}") from error
        return StoredObject(key, size, digest, mimetypes.guess_type(key)[0] or "application/octet-stream")

    @property
    def public_url(self) -> str:
        """The API's own URL."""
        return self._base_url

    def presign(self, key: str, expires_seconds: int) -> str:
        """A URL below the API's `/files`, signed with HMAC-SHA256 over key and expiry."""
        expires = int(time.time()) + expires_seconds
        query = urlencode({"expires": expires, "signature": self._sign(key, expires)})
        return f"{self._base_url}{FILES_PATH}/{quote(key)}?{query}"

    def presign_put(self, key: str, content_type: str, size_bytes: int, expires_seconds: int) -> None:
        """None, because the API accepts uploads itself."""

    def copy(self, key: str, target: str) -> StoredObject:
        """Copy a file."""
        found = self.head(key)
        try:
            return self.put_file(target, self.path(key), found.content_type if found else "")
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{key} is not in the storage") from error

    def verify(self, key: str, expires: int, signature: str) -> None:
        """Raise `Forbidden` if a URL was not signed with this key or has expired."""
        if not hmac.compare_digest(self._sign(key, expires).encode(), signature.encode()):
            raise Forbidden("the signature does not match this file")
        if expires < time.time():
            raise Forbidden("this URL has expired; GET the job for a new one")

    def check(self) -> None:
        """Write and remove a file, not an empty one, which even a full disk accepts; then check the free space."""
        probe = self._folder / f".probe-{secrets.token_hex(4)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
            try:
                with probe.open("wb") as file:
                    file.write(secrets.token_bytes(PROBE_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"cannot write to the storage folder: {error}") from error
        if free < self._min_free_bytes:
            least = self._min_free_bytes
            raise StorageUnavailable(f"the disk of the storage folder has {free:,} bytes left; {least:,} are needed")

    def path(self, key: str) -> Path:
        """The object's file; raises `ObjectNotFound` for keys that point outside the folder."""
        if not key or key.startswith("/") or ".." in key.split("/") or "\0" in key:
            raise ObjectNotFound(f"{key!r} is not a valid key")
        return self._data / key

    def _meta_path(self, key: str) -> Path:
        self.path(key)
        return self._meta / f"{key}.json"

    def _sign(self, key: str, expires: int) -> str:
        return hmac.new(self._signing_key, f"{key}\n{expires}".encode(), hashlib.sha256).hexdigest()


@contextmanager
def write_errors(key: str) -> Iterator[None]:
    """Raise `StorageUnavailable` for an `OSError` within."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"cannot write {key}: {error}") from error


def files_below(root: Path, prefix: str) -> Iterator[Path]:
    """Files whose paths below `root` start with `prefix`, temporary ones included; may miss those deleted meanwhile."""

    def failed(error: OSError) -> None:
        # A folder with a name that is too long does not exist.
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)) and error.errno != errno.ENAMETOOLONG:
            raise error

    start = folder_of(root, prefix)
    paths = (Path(folder, name) for folder, _, names in os.walk(start, onerror=failed) for name in names)
    return (path for path in paths if path.relative_to(root).as_posix().startswith(prefix))


def folder_of(root: Path, prefix: str) -> Path:
    """The folder that contains every path starting with the prefix."""
    return root / prefix if prefix.endswith("/") else (root / prefix).parent


def stays_within(path: Path, folder: Path) -> bool:
    """Whether a path is not a link that leads out of the folder, for example to another tenant's files."""
    return not path.is_symlink() or Path(os.path.realpath(path)).is_relative_to(folder)


def size_of(path: Path) -> int | None:
    """Size of a file in bytes, or None if it has been deleted meanwhile or is a broken link."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


def copy(path: Path, target: BinaryIO) -> None:
    with path.open("rb") as source:
        shutil.copyfileobj(source, target, COPY_BUFFER_BYTES)
