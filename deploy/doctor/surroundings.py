"""What is around a process: its disk, and the way by which clients come."""

import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from deploy.doctor.context import Context
from deploy.doctor.device import has_torch
from deploy.doctor.result import CheckResult, failure, ok, skipped, warning
from deploy.doctor.tenants import only_here

GIBIBYTE = 2**30
LEAST_BYTES, ENOUGH_BYTES = 1 * GIBIBYTE, 5 * GIBIBYTE
"""A job's input and video; and models of tenants, which are gigabytes."""
ANSWER_SECONDS = 5.0


def work_folder(context: Context) -> CheckResult:
    """Where workers keep files while they need them."""
    folder = Path(context.settings.work_folder)
    if not folder.exists() and not has_torch():
        return skipped("there is none in this image; run `cinemo doctor` in a worker, too")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return failure(
            f"CINEMO_WORK_FOLDER cannot be written: {error}", "mount a volume there that this user may write"
        )
    return room(folder)


def storage_folder(context: Context) -> CheckResult:
    """Where inputs and videos are, if that is a folder."""
    scheme, _, place = context.settings.storage_url.partition("://")
    if scheme != "file":
        return ok("the bucket's server looks after its own disk")
    return room(Path(place))


def room(folder: Path) -> CheckResult:
    free = shutil.disk_usage(folder).free
    message = f"{folder} has {free / GIBIBYTE:.1f} GiB left"
    remedy = "make room, or a larger volume"
    if free < LEAST_BYTES:
        return failure(message, remedy)
    return warning(message, remedy) if free < ENOUGH_BYTES else ok(message)


def public_url(context: Context) -> CheckResult:
    """Whether the links in answers lead to this API."""
    url = context.settings.public_base_url.rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        return failure(f"CINEMO_PUBLIC_BASE_URL is {url!r}, no URL that can be called", "set it to https://HOST")
    guarded = context.settings.auth == "keys"
    if only_here(url) and guarded:
        return warning(f"links in answers lead to {url}, this machine alone", "set CINEMO_PUBLIC_BASE_URL")
    try:
        answer = httpx.get(f"{url}/healthz", timeout=ANSWER_SECONDS)
    except httpx.HTTPError as error:
        return skipped(f"{url} cannot be reached from here ({error}); try it where clients are")
    if answer.status_code != 200 or answer.headers.get("content-type") != "application/json":
        return failure(f"{url}/healthz answers {answer.status_code}, not as this API does", "let it lead to the API")
    if urlsplit(url).scheme == "http" and not only_here(url):
        return warning(f"{url} sends keys and videos in the clear", "put TLS in front, and https:// into the setting")
    return ok(f"{url} leads to an API")
