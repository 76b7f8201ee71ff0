"""Files that appear whole under their names, and outlast a power cut; folders come and go with them."""

import errno
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

TEMPORARY = "."
"""Prefix of the names of files being written; no object's name starts with it."""
MAX_CREATE_ATTEMPTS = 100
"""Another process rarely deletes a folder even once between its creation and that of a file in it."""
FOLDERS = threading.Lock()
"""Held while this process makes or removes folders: one of its threads could lose to another again and again."""


def write_atomically(path: Path, write: Callable[[BinaryIO], object], flush: bool = True) -> None:
    """Write a temporary file in the same folder and rename it; with `flush`, file and name are on the disk after."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}.{secrets.token_hex(4)}")
    changed = {path.parent}
    try:
        with create(temporary, changed) as file:
            write(file)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if flush:
        for folder in changed:
            flush_names(folder)


def create(path: Path, changed: set[Path]) -> BinaryIO:
    """Create a file and its folder, again if a concurrent deletion has just removed the folder.

    Adds the folders to `changed` in which folders were made.
    """
    attempts = 0
    while True:
        try:
            with FOLDERS:
                make_folder(path.parent, changed)
                return path.open("wb")
        except (FileNotFoundError, FileExistsError):
            # `mkdir` raises FileExistsError if the folder disappears while it looks, or if it is a file.
            attempts += 1
            if attempts == MAX_CREATE_ATTEMPTS:
                raise


def make_folder(folder: Path, changed: set[Path]) -> None:
    """Make a folder and those above it unless they exist; adds those to `changed` in which one was made."""
    try:
        folder.mkdir()
    except FileNotFoundError:
        make_folder(folder.parent, changed)
        folder.mkdir()
    except FileExistsError:
        if folder.is_dir():
            return
        raise
    changed.add(folder.parent)


def flush_names(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    # A folder that has been deleted meanwhile took its files with it; some network file systems can't flush one.
    with suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        finally:
            os.close(descriptor)


def remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder if it is empty, and its parents below `root`."""
    # Fails if another process removes them first or writes into them, which is fine.
    with FOLDERS, suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent
