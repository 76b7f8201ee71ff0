"""`python -m worker.health`, for a container's health check: exits with 0 where this machine's workers make headway.

A worker touches a file while it waits for messages, and while its job is within its limits. Where it does neither it
hangs, and is to be started again; but not while Redis is away, as that would help nothing.
"""

import os
import sys
import time
from pathlib import Path

from worker.workspace import living

ALIVE = "alive"
TOUCH_SECONDS = 5.0
SILENT_SECONDS = 90.0
"""More than Celery pauses before it tries a broker again that was away."""
NONE_RUNS = "no worker runs"

_file: Path | None = None


def live_in(folder: Path) -> None:
    """From now on `touch` says in the folder that this process makes headway."""
    global _file
    _file = folder / ALIVE


def touch() -> None:
    """Tell that this process makes headway; a full disk does not keep it from that."""
    if _file is not None:
        _file.touch()


def silent(root: Path, seconds: float) -> str | None:
    """Why the workers below a folder are not well; None where they are."""
    folders = list(living(root))
    if not folders:
        return NONE_RUNS
    for folder in folders:
        file = folder / ALIVE
        if not file.exists():
            return f"{folder.name} has not begun yet"
        age = time.time() - file.stat().st_mtime
        if age > seconds:
            return f"{folder.name} has been silent for {age:.0f} seconds"
    return None


def main() -> int:
    """Say why not, if so; returns the exit code."""
    named = os.environ.get("CINEMO_WORK_FOLDER")
    # Redis may be why a worker hangs, not why none has begun: that one is loading, and needs the core for it.
    if named and (reason := silent(Path(named), SILENT_SECONDS)) in (None, NONE_RUNS):
        return told(reason)
    # Not at the top: they take a second of a core to load, and this is run every few.
    from service.contract.problems import QueueUnavailable
    from service.contract.settings import Settings
    from service.store.jobs import open_job_store

    settings = Settings()
    reason = silent(Path(settings.work_folder), SILENT_SECONDS)
    if reason is None:
        return 0
    try:
        open_job_store(settings).check()
    except QueueUnavailable:
        return 0
    return told(reason)


def told(reason: str | None) -> int:
    """Print what is wrong, if anything is; returns the exit code."""
    if reason is None:
        return 0
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
