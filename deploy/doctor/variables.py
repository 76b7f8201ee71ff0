"""The environment: settings that are wrong, that nobody reads, or that point nowhere."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import SettingsError

from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, Finding, failure, ok, warning
from service.contract.settings import Settings

PREFIX = "CINEMO_"
FOLDER = "CINEMO_SECRETS_FOLDER"
REFERENCE = "docs/settings.md lists all settings"
SHORTEST_KEY = 16


def read_settings() -> Settings | list[Finding]:
    """The settings, or what keeps every process of the service from its start."""
    try:
        return Settings()
    except ValidationError as error:
        return [Finding.of("settings", wrong(each["loc"], each["msg"])) for each in error.errors()]
    except SettingsError as error:
        return [Finding.of("settings", failure(f"{error}: {error.__cause__}", f"write it as JSON; {REFERENCE}"))]


def wrong(place: tuple[int | str, ...], message: str) -> CheckResult:
    name = f"{PREFIX}{str(place[0]).upper()}: " if place else ""
    return failure(f"{name}{message.removeprefix('Value error, ')}", f"correct it; {REFERENCE}")


def known_variables(context: Context) -> CheckResult:
    """Names that are no setting's, as one with a slip of the pen is silently without effect."""
    known = {PREFIX + name.upper() for name in type(context.settings).model_fields} | {FOLDER}
    unknown = sorted(name for name in given() if name.upper() not in known)
    if not unknown:
        return ok(f"{len(known)} settings are known, {len(set(given()))} are set")
    likely = [match for name in unknown for match in get_close_matches(name.upper(), known, 1)]
    meant = f"; meant may be {', '.join(likely)}" if likely else ""
    return warning(f"{', '.join(unknown)} set, which nobody reads{meant}", f"correct or remove it; {REFERENCE}")


def given() -> Iterator[str]:
    """Names of variables, and of files that stand for variables."""
    yield from (name for name in os.environ if name.upper().startswith(PREFIX))
    folder = os.environ.get(FOLDER)
    if folder and Path(folder).is_dir():
        yield from (path.name for path in Path(folder).iterdir() if path.name.upper().startswith(PREFIX))


def secrets_folder(context: Context) -> CheckResult:
    """The folder that secrets come from."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return ok("secrets come from the environment")
    try:
        for path in Path(folder).iterdir():
            if path.is_file():
                path.read_bytes()
    except OSError as error:
        return failure(f"{FOLDER} cannot be read: {error}", "mount it, readable for the user that this runs as")
    return ok(f"secrets come from {folder}")


def signing_key(context: Context) -> CheckResult:
    """What download URLs of a folder are signed with."""
    key = context.settings.url_signing_key
    if not context.settings.storage_url.startswith("file://") or key is None:
        return ok("download URLs are signed by the S3 server's credentials")
    if len(key.get_secret_value()) < SHORTEST_KEY:
        return warning(
            f"CINEMO_URL_SIGNING_KEY is shorter than {SHORTEST_KEY} characters and can be guessed",
            "set one from `openssl rand -hex 32`, the same for all processes",
        )
    return ok("download URLs are signed by CINEMO_URL_SIGNING_KEY")
