"""A worker whose work folder has no room takes no job: it would fail one after the other that others can do."""

import shutil
import tempfile
import time

import structlog

from worker.health import touch
from worker.shutdown import shutdown

log = structlog.get_logger()

LEAST_BYTES = 128 * 1024 * 1024
"""More than the source and the video of an edit; trainings and models of tenants may need much more."""

POLL_SECONDS = 1.0


def wait_for_room() -> None:
    """Return once there is room where this process has its temporary files, or it was told to go.

    The message at hand is held meanwhile, and the other workers get all those after it; of its job the reaper tells
    them again.
    """
    folder, waited = tempfile.gettempdir(), False
    while (free := shutil.disk_usage(folder).free) < LEAST_BYTES and not shutdown.asked:
        if not waited:
            log.warning("no room, no jobs are taken", folder=folder, free_bytes=free, least_bytes=LEAST_BYTES)
        waited = True
        # To be started again would not help.
        touch()
        time.sleep(POLL_SECONDS)
    if waited:
        log.info("no longer waiting for room", folder=folder, free_bytes=free)
