"""Lists the files below a folder, following links, and the suffixes of videos. Does not look into files."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".webm", ".mkv", ".avi", ".divx", ".mpg", ".mpeg", ".gif",
)  # fmt: skip
"""Suffixes of videos, in any case; the format is detected from a file's first bytes."""

MAX_FOLDERS = 200_000
"""More than any dataset has; folders that link to each other could multiply without end."""


def is_resource_fork(name: str) -> bool:
    """Whether a name is that of an AppleDouble file, which macOS keeps beside the actual file."""
    *folders, file = name.split("/")
    return file.startswith("._") or "__MACOSX" in folders


def files_below(root: str | Path) -> Iterator[tuple[str, int]]:
    """Relative names and sizes in bytes of all files below a folder, following links like `find -L`.

    A link to a folder that contains it is not followed, and a dangling one counts as a file of 0 bytes. Pipes and
    devices, which could block a reader, are skipped.

    Raises:
        OSError: there is no such folder, or links multiply it beyond `MAX_FOLDERS`.
    """
    waiting = [("", os.fspath(root), frozenset({identity(os.stat(root))}))]
    entered = 0
    while waiting:
        prefix, folder, around = waiting.pop()
        entered += 1
        if entered > MAX_FOLDERS:
            raise OSError(errno.ELOOP, f"its links lead to more than {MAX_FOLDERS:,} folders")
        for entry in entries_of(folder, is_root=not prefix):
            name = prefix + entry.name
            try:
                about = entry.stat()
            except OSError:
                if entry.is_symlink():
                    yield name, 0
                continue
            if stat.S_ISREG(about.st_mode):
                yield name, about.st_size
            elif stat.S_ISDIR(about.st_mode) and identity(about) not in around:
                waiting.append((f"{name}/", entry.path, around | {identity(about)}))


def entries_of(folder: str, is_root: bool) -> list["os.DirEntry[str]"]:
    """Entries of a folder; none if it is not readable, like `lost+found`, unless it is the root."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        if is_root:
            raise
        return []


def identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino
