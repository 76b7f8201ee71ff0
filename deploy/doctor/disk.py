"""Checks of disk space: for workers' temporary files, and for a storage folder."""

import shutil
import tempfile
from pathlib import Path

from deploy.doctor.context import Context
from deploy.doctor.device import has_torch
from deploy.doctor.result import CheckResult, failure, ok, skipped, warning

GIBIBYTE = 2**30
MIN_BYTES, ENOUGH_BYTES = 1 * GIBIBYTE, 5 * GIBIBYTE
"""Space for a job's input and video; and for tenants' models, which take gigabytes."""


def work_folder(context: Context) -> CheckResult:
    """The folder for workers' temporary files."""
    folder = Path(context.settings.work_folder)
    if not folder.exists() and not has_torch():
        return skipped("not in this image; run `cinemo doctor` in a worker, too")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return failure(
            f"CINEMO_WORK_FOLDER cannot be written: {error}", "mount a volume there that this user can write"
        )
    return free_space(folder)


def storage_folder(context: Context) -> CheckResult:
    """The folder of inputs and videos, if the storage is one."""
    scheme, _, folder = context.settings.storage_url.partition("://")
    if scheme != "file":
        return ok("not needed for a bucket")
    return free_space(Path(folder))


def free_space(folder: Path) -> CheckResult:
    free = shutil.disk_usage(folder).free
    message = f"{folder} has {free / GIBIBYTE:.1f} GiB left"
    remedy = "free space, or use a larger volume"
    if free < MIN_BYTES:
        return failure(message, remedy)
    return warning(message, remedy) if free < ENOUGH_BYTES else ok(message)
