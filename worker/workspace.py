"""A folder for each worker process, with all its temporary files; those of processes that died are removed.

A process keeps its folder locked for as long as it lives, so that neither host names nor process ids matter.
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
    """Remove what dead processes left in `root`, and make a folder that all temporary files of this one go to."""
    global _own
    root.mkdir(parents=True, exist_ok=True)
    for folder in dead(root):
        log.info("left behind by a dead worker, removed", folder=str(folder))
        shutil.rmtree(folder, ignore_errors=True)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root.resolve()))
        # Another process that looks for dead ones may have been faster.
        with suppress(OSError):
            # Stays open for the life of this process; those it starts do not get it.
            lock(folder)
            _own, tempfile.tempdir = folder, str(folder)
            return folder


def clean(keep: str) -> None:
    """Empty the folder of this process, whatever a job has left in it, but for one file."""
    for path in _own.iterdir() if _own else ():
        if path.name == keep:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def dead(root: Path) -> Iterator[Path]:
    """Folders that no living process has locked."""
    for folder in root.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = lock(folder)
            try:
                yield folder
            finally:
                os.close(descriptor)


def living(root: Path) -> Iterator[Path]:
    """Folders of processes that live."""
    for folder in root.glob(f"{PREFIX}*"):
        try:
            os.close(lock(folder))
        except BlockingIOError:
            yield folder
        except OSError:
            continue


def lock(folder: Path) -> int:
    """Lock a folder and return what keeps it so; raises `BlockingIOError` where another process has done so."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
