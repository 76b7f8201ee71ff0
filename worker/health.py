"""`python -m worker.health`, a container's health check: exits with 0 if this machine's workers make progress.

A worker touches a file while it waits for messages and while its job is within its limits. If it does neither, it hangs
and needs a restart, except while Redis is unavailable, when that would not help.
"""

import os
import sys
import time
from pathlib import Path

from worker.workspace import in_use

ALIVE = "alive"
TOUCH_SECONDS = 5.0
SILENT_SECONDS = 90.0
"""Longer than Celery's pause before it reconnects to the broker."""
NOT_RUNNING = "no worker is running"

_file: Path | None = None


def set_alive_folder(folder: Path) -> None:
    """Set the folder in which `touch` reports this process's progress."""
    global _file
    _file = folder / ALIVE


def touch() -> None:
    """Report that this process makes progress; works even if the disk is full."""
    if _file is not None:
        _file.touch()


def unhealthy_reason(root: Path, seconds: float) -> str | None:
    """Why the workers with folders below `root` are unhealthy; None if they are healthy."""
    folders = list(in_use(root))
    if not folders:
        return NOT_RUNNING
    for folder in folders:
        file = folder / ALIVE
        if not file.exists():
            return f"{folder.name} is still starting"
        age = time.time() - file.stat().st_mtime
        if age > seconds:
            return f"{folder.name} has been silent for {age:.0f} seconds"
    return None


def main() -> int:
    """Print why the workers are unhealthy, if they are; returns the exit code."""
    folder = os.environ.get("CINEMO_WORK_FOLDER")
    # Redis need not be checked if all workers are healthy or none is running: a starting worker needs the CPU time.
    if folder and (reason := unhealthy_reason(Path(folder), SILENT_SECONDS)) in (None, NOT_RUNNING):
        return exit_code(reason)
    # Imported here, because that takes a second of CPU time, and the check runs every few seconds.
    from service.contract.environment import settings_of_command
    from service.contract.problems import QueueUnavailable
    from service.store.worker_jobs import open_worker_jobs

    settings = settings_of_command()
    reason = unhealthy_reason(Path(settings.work_folder), SILENT_SECONDS)
    if reason is None:
        return 0
    try:
        open_worker_jobs(settings).check()
    except QueueUnavailable:
        return 0
    return exit_code(reason)


def exit_code(reason: str | None) -> int:
    """Print the reason, if any, and return the exit code."""
    if reason is None:
        return 0
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
