"""A folder for each worker process with all its temporary files; folders of dead processes are removed.

A process keeps its folder locked while it lives, so neither host names nor process IDs matter.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

PREFIX = "worker-"

_own: Path | None = None


def open_workspace(root: Path) -> Path:
    """Remove the folders of dead processes in `root`, and create one for all temporary files of this process."""
    global _own
    root.mkdir(parents=True, exist_ok=True)
    for folder in abandoned(root):
        log.info("removing folder of dead worker", folder=str(folder))
        shutil.rmtree(folder, ignore_errors=True)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root.resolve()))
        # Try again if another process, looking for abandoned folders, has locked it first.
        with suppress(OSError):
            # Stays open while this process lives; child processes do not inherit it.
            lock(folder)
            _own, tempfile.tempdir = folder, str(folder)
            return folder


def clean(*keep: str) -> None:
    """Empty this process's folder, except for the files and folders of these names."""
    for path in _own.iterdir() if _own else ():
        if path.name in keep:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def abandoned(root: Path) -> Iterator[Path]:
    """Folders that no process has locked; each stays locked until the next is requested."""
    for folder in root.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = lock(folder)
            try:
                yield folder
            finally:
                os.close(descriptor)


def in_use(root: Path) -> Iterator[Path]:
    """Folders of living processes."""
    for folder in root.glob(f"{PREFIX}*"):
        try:
            os.close(lock(folder))
        except BlockingIOError:
            yield folder
        except OSError:
            continue


def lock(folder: Path) -> int:
    """Lock a folder and return the descriptor that holds the lock; raises `BlockingIOError` if it is locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
