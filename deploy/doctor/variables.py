"""Checks of the environment: settings that are invalid, unknown or unreadable."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, Finding, failure, ok, warning
from service.contract import environment
from service.contract.environment import PREFIX, SettingsInvalid
from service.contract.settings import Settings

FOLDER = "CINEMO_SECRETS_FOLDER"
REFERENCE = "docs/settings.md lists all settings"
MIN_KEY_CHARACTERS = 16


def read_settings() -> Settings | list[Finding]:
    """The settings, or the errors that would keep the service's processes from starting."""
    try:
        return environment.read_settings()
    except SettingsInvalid as error:
        return [Finding.of("settings", failure(each, f"correct it; {REFERENCE}")) for each in error.reasons]


def known_variables(context: Context) -> CheckResult:
    """Find unknown settings, such as misspelt ones, which would silently have no effect."""
    known = {PREFIX + name.upper() for name in type(context.settings).model_fields} | {FOLDER}
    unknown = sorted(name for name in variable_names() if name.upper() not in known)
    if not unknown:
        return ok(f"{len(set(variable_names()))} of {len(known)} settings are set")
    similar = [match for name in unknown for match in get_close_matches(name.upper(), known, 1)]
    suggestion = f"; similar: {', '.join(similar)}" if similar else ""
    return warning(f"unknown setting: {', '.join(unknown)}{suggestion}", f"correct or remove it; {REFERENCE}")


def variable_names() -> Iterator[str]:
    """Names of variables, and of secret files that replace variables."""
    yield from (name for name in os.environ if name.upper().startswith(PREFIX))
    folder = os.environ.get(FOLDER)
    if folder and Path(folder).is_dir():
        yield from (path.name for path in Path(folder).iterdir() if path.name.upper().startswith(PREFIX))


def secrets_folder(context: Context) -> CheckResult:
    """Whether the secrets' folder, if any, is readable."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return ok("secrets come from the environment")
    try:
        for path in Path(folder).iterdir():
            if path.is_file():
                path.read_bytes()
    except OSError as error:
        return failure(f"{FOLDER} cannot be read: {error}", "mount it so that this user can read it")
    return ok(f"secrets come from {folder}")


def signing_key(context: Context) -> CheckResult:
    """Whether the key that signs a folder's download URLs is long enough."""
    key = context.settings.url_signing_key
    if not context.settings.storage_url.startswith("file://") or key is None:
        return ok("download URLs are signed with the S3 credentials")
    if len(key.get_secret_value()) < MIN_KEY_CHARACTERS:
        return warning(
            f"CINEMO_URL_SIGNING_KEY is shorter than {MIN_KEY_CHARACTERS} characters and can be guessed",
            "set the output of `openssl rand -hex 32`, the same for all processes",
        )
    return ok("download URLs are signed with CINEMO_URL_SIGNING_KEY")
