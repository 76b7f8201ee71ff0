"""Objects as files of one folder, the embedded default; their URLs are signed and served by the API itself."""

import errno
import hashlib
import hmac
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote, urlencode

from service.contract.problems import Forbidden, ObjectNotFound, StorageUnavailable
from service.storage.base import DISK_FULL, StoredObject, sha256_of

FILES_PATH = "/files"
COPIED_BYTES = 1024 * 1024
PROBE_BYTES = 64 * 1024
DRAFT = "."
"""How the name of a file begins that is being written; no object's does."""
MOST_PRUNED = 100
"""How often a folder may go under the hands of who writes to it: in earnest hardly once."""


class LocalStore:
    """A folder: `data/<key>` beside `meta/<key>.json`."""

    def __init__(self, folder: Path, public_base_url: str, signing_key: str, least_free_bytes: int = 0) -> None:
        self._folder = folder.resolve()
        self._least_free_bytes = least_free_bytes
        self._base_url = public_base_url.rstrip("/")
        self._signing_key = signing_key.encode()

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        """Copy a file in."""
        digest, size = sha256_of(path)
        stored = StoredObject(key, size, digest, content_type)
        with storing(key):
            replace(self.path(key), lambda file: copy(path, file))
            replace(self._meta_path(key), lambda file: file.write(json.dumps(vars(stored)).encode()))
        return stored

    def put_bytes(self, key: str, data: bytes, content_type: str) -> StoredObject:
        """Write bytes; whoever reads meanwhile sees the old object or the new one, never a part."""
        stored = StoredObject(key, len(data), hashlib.sha256(data).hexdigest(), content_type)
        with storing(key):
            replace(self.path(key), lambda file: file.write(data))
            replace(self._meta_path(key), lambda file: file.write(json.dumps(vars(stored)).encode()))
        return stored

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

    def list(self, prefix: str) -> dict[str, int]:
        """Walk the folder that the prefix lies in; of links, those of files that stay there count."""
        self.path(prefix)
        root = self._folder / "data"
        try:
            around = folder_of(root, prefix).resolve()
            paths = [
                path for path in files_below(root, prefix) if not path.name.startswith(DRAFT) and stays(path, around)
            ]
            found = {path.relative_to(root).as_posix(): size for path in paths if (size := size_of(path)) is not None}
        except OSError as error:
            raise StorageUnavailable(f"cannot list {prefix}: {error}") from error
        return dict(sorted(found.items()))

    def delete(self, prefix: str) -> None:
        """Remove data and description of each object, drafts of writers that died, and folders that are empty then."""
        self.path(prefix)
        try:
            for root in (self._folder / "data", self._folder / "meta"):
                for path in files_below(root, prefix):
                    path.unlink(missing_ok=True)
                    prune(path.parent, root)
        except OSError as error:
            raise StorageUnavailable(f"cannot delete {prefix}: {error}") from error

    def head(self, key: str) -> StoredObject | None:
        """What is known of a key."""
        try:
            return StoredObject(**json.loads(self._meta_path(key).read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnavailable(f"cannot read {key}: {error}") from error

    @property
    def public_url(self) -> str:
        """The API's own."""
        return self._base_url

    def presign(self, key: str, expires_seconds: int) -> str:
        """A URL below `/files` of the API, signed with HMAC-SHA256 over key and expiry."""
        expires = int(time.time()) + expires_seconds
        query = urlencode({"expires": expires, "signature": self._sign(key, expires)})
        return f"{self._base_url}{FILES_PATH}/{quote(key)}?{query}"

    def presign_put(self, key: str, content_type: str, size_bytes: int, expires_seconds: int) -> None:
        """None: files come in through the API."""

    def copy(self, key: str, target: str) -> StoredObject:
        """Copy a file."""
        found = self.head(key)
        try:
            return self.put_file(target, self.path(key), found.content_type if found else "")
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{key} is not in the storage") from error

    def verify(self, key: str, expires: int, signature: str) -> None:
        """Raise `Forbidden` where a URL was not signed here or has expired."""
        if not hmac.compare_digest(self._sign(key, expires).encode(), signature.encode()):
            raise Forbidden("the signature does not match this file")
        if expires < time.time():
            raise Forbidden("this URL has expired; GET the job for a new one")

    def check(self) -> None:
        """Write and remove a file of some bytes: a full disk goes on to take empty ones. See that there is room."""
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
        if free < self._least_free_bytes:
            least = self._least_free_bytes
            raise StorageUnavailable(f"the disk of the storage folder has {free:,} bytes left; {least:,} are needed")

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


@contextmanager
def storing(key: str) -> Iterator[None]:
    """What the disk refuses is a storage that is not available."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"cannot write {key}: {error}") from error


def files_below(root: Path, prefix: str) -> list[Path]:
    """Files in a folder whose paths there begin so, drafts included; what goes meanwhile may be missing."""

    def failed(error: OSError) -> None:
        # What no folder can be called is not there.
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)) and error.errno != errno.ENAMETOOLONG:
            raise error

    start = folder_of(root, prefix)
    paths = (Path(folder, name) for folder, _, names in os.walk(start, onerror=failed) for name in names)
    return [path for path in paths if path.relative_to(root).as_posix().startswith(prefix)]


def folder_of(root: Path, prefix: str) -> Path:
    """The folder in which all that begins so lies."""
    return root / prefix if prefix.endswith("/") else (root / prefix).parent


def stays(path: Path, around: Path) -> bool:
    """Whether a file is no link, or one to somewhere in a folder: in another's, it would show what is theirs."""
    return not path.is_symlink() or Path(os.path.realpath(path)).is_relative_to(around)


def prune(folder: Path, root: Path) -> None:
    """Remove a folder that is empty, and those around it, but never the outermost."""
    # Whoever else removes them, or puts something in, is as right.
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def size_of(path: Path) -> int | None:
    """Bytes of a file, or None where it has been deleted meanwhile, or is a link that leads to nothing."""
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
        shutil.copyfileobj(source, target, COPIED_BYTES)


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place, flush it to the disk and move it there."""
    draft = path.with_name(f"{DRAFT}{path.name}.{secrets.token_hex(4)}")
    try:
        with create(draft) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def create(path: Path) -> BinaryIO:
    """Open a new file in a folder that is made for it, anew where a deletion has just pruned it."""
    pruned = 0
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("wb")
        except (FileNotFoundError, FileExistsError):
            # The latter is of a folder that was there, and then was not; or of a file in its place, which stays.
            pruned += 1
            if pruned == MOST_PRUNED:
                raise
