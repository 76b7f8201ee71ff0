"""Access to a dataset's files by name and byte range. Does not look into them."""

import errno
import io
import tarfile
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from cinemo_core.folders import files_below
from cinemo_core.training.errors import DatasetError

HEADER_BYTES = 64 * 1024
PAUSES = (0.5, 2.0, 8.0)
"""Seconds before each retry of a failed read."""


class Files(Protocol):
    """A folder of files, local or remote; picklable, because decoding processes get a copy."""

    def sizes(self) -> dict[str, int]:
        """The size in bytes of each file, by name relative to the root, sorted by name."""
        ...

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes of a file, or of a range of it."""
        ...


def read_with_retries(files: Files, name: str, start: int, length: int) -> bytes:
    """Read a byte range, retrying if the network or disk fails; raises the last attempt's `OSError`."""
    for pause in PAUSES:
        try:
            return files.read(name, start, length)
        except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
            raise
        except OSError as error:
            # A retry does not resolve a symlink loop.
            if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
                raise
            time.sleep(pause)
    return files.read(name, start, length)


@dataclass(frozen=True)
class FsspecFiles:
    """A local folder, or a URI of any file system that fsspec supports here."""

    uri: str

    def sizes(self) -> dict[str, int]:
        """See `Files.sizes`; raises `DatasetError` if the folder does not exist."""
        system, root = self._root
        if not system.isdir(root):
            raise DatasetError(f"{self.uri} is not a folder")
        if isinstance(system, LocalFileSystem):
            try:
                return dict(sorted(files_below(root)))
            except OSError as error:
                raise DatasetError(f"{self.uri} cannot be listed: {error.strerror}") from error
        found = system.find(root, detail=True)
        # Reading from a pipe or device could block forever.
        plain = {path: about["size"] for path, about in found.items() if about.get("type") != "other"}
        names = {path.removeprefix(root).lstrip("/"): size for path, size in plain.items()}
        return dict(sorted(names.items()))

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Files.read`."""
        system, root = self._root
        data: bytes = system.cat_file(f"{root}/{name}", start, None if length is None else start + length)
        return data

    @cached_property
    def _root(self) -> tuple[Any, str]:
        system, root = fsspec.url_to_fs(self.uri)
        return system, root.rstrip("/")


class RangeFile(io.RawIOBase):
    """A read-only, seekable file object over a file of `Files`, fetched range by range."""

    def __init__(self, files: Files, name: str, size: int) -> None:
        super().__init__()
        self._files, self._name, self._size, self._position = files, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._position)
        if length <= 0:
            return 0
        data = self._files.read(self._name, self._position, length)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class ShardReader(io.BufferedReader):
    """Protects tarfile from malicious headers: a read never takes more memory than the shard has bytes, and headers
    that form a loop raise an error."""

    def __init__(self, files: Files, name: str, size: int) -> None:
        super().__init__(RangeFile(files, name, size), HEADER_BYTES)
        self._size, self._left = size, 2 * size + HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        rest = max(0, self._size - self.tell())
        data = super().read(rest if size is None or not 0 <= size <= rest else size)
        self._left -= max(len(data), 1)
        if self._left < 0:
            raise tarfile.ReadError("its headers form a loop")
        return data
