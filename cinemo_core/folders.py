"""Folders of videos on this machine: which files count as videos by their names, and which lie below a folder, behind
links, too. Knows nothing of what is in them."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".webm", ".mkv", ".avi", ".divx", ".mpg", ".mpeg", ".gif",
)  # fmt: skip
"""By which videos are found, in any case; what a file is, its first bytes say."""

MOST_FOLDERS = 200_000
"""More than datasets have; folders that link to each other make ever more of themselves."""


def is_resource_fork(name: str) -> bool:
    """Whether a name is of what macOS keeps beside a file, AppleDouble, and never the file itself."""
    *folders, file = name.split("/")
    return file.startswith("._") or "__MACOSX" in folders


def files_below(root: str | Path) -> Iterator[tuple[str, int]]:
    """Names below a folder, and bytes, of all files, those behind links, too, as `find -L` has them.

    A link back to a folder that it lies in is not followed, and one that leads nowhere is a file of no bytes. Neither
    pipes nor devices are told, from which whoever reads them waits for others.

    Raises:
        OSError: there is no such folder, or links make too many of it.
    """
    waiting = [("", os.fspath(root), frozenset({identity(os.stat(root))}))]
    entered = 0
    while waiting:
        prefix, folder, around = waiting.pop()
        entered += 1
        if entered > MOST_FOLDERS:
            raise OSError(errno.ELOOP, f"its links make more than {MOST_FOLDERS:,} folders of it")
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
    """What is in a folder; nothing where it may not be looked at, as in `lost+found`, unless it is the outermost."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        if is_root:
            raise
        return []


def identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino
