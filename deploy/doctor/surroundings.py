"""Checks of a process's disk, and of the public URL."""

import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from deploy.doctor.context import Context
from deploy.doctor.device import has_torch
from deploy.doctor.result import CheckResult, failure, ok, skipped, warning
from deploy.doctor.tenants import is_loopback

GIBIBYTE = 2**30
MIN_BYTES, ENOUGH_BYTES = 1 * GIBIBYTE, 5 * GIBIBYTE
"""Space for a job's input and video; and for tenants' models, which take gigabytes."""
TIMEOUT_SECONDS = 5.0


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


def public_url(context: Context) -> CheckResult:
    """Whether links in responses lead to this API."""
    url = context.settings.public_base_url.rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        return failure(f"CINEMO_PUBLIC_BASE_URL is {url!r}, which is not an HTTP URL", "set it to https://HOST")
    needs_keys = context.settings.auth == "keys"
    if is_loopback(url) and needs_keys:
        return warning(f"links in responses lead to {url}, only on this machine", "set CINEMO_PUBLIC_BASE_URL")
    try:
        response = httpx.get(f"{url}/healthz", timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        return skipped(f"{url} cannot be reached from here ({error}); try it where clients are")
    if response.status_code != 200 or response.headers.get("content-type") != "application/json":
        message = f"{url}/healthz returned status {response.status_code}, unlike this API"
        return failure(message, "set CINEMO_PUBLIC_BASE_URL to the API")
    if urlsplit(url).scheme == "http" and not is_loopback(url):
        return warning(f"{url} sends keys and videos unencrypted", "use a TLS proxy, and https:// in the setting")
    return ok(f"{url} leads to an API")
