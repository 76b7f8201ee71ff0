"""Keeps a worker from taking jobs while its disk is full, since they would fail here but succeed elsewhere."""

import shutil
import tempfile
import time

import structlog

from worker.health import touch
from worker.shutdown import shutdown

log = structlog.get_logger()

MIN_FREE_BYTES = 128 * 1024 * 1024
"""More than the source and the video of an edit; training and tenants' models may need much more."""

POLL_SECONDS = 1.0


def wait_for_disk_space() -> None:
    """Return once the disk of this process's temporary files has enough space, or on shutdown.

    Meanwhile the worker keeps the current message, and others receive those that follow; the reaper repeats the
    current one for them.
    """
    folder, waited = tempfile.gettempdir(), False
    while (free := shutil.disk_usage(folder).free) < MIN_FREE_BYTES and not shutdown.requested:
        if not waited:
            log.warning("disk full, taking no jobs", folder=folder, free_bytes=free, needed_bytes=MIN_FREE_BYTES)
        waited = True
        # Stay healthy, because a restart would not help.
        touch()
        time.sleep(POLL_SECONDS)
    if waited:
        log.info("no longer waiting for disk space", folder=folder, free_bytes=free)
