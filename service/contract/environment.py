"""Reads the settings when a process starts."""

import structlog
from pydantic import ValidationError
from pydantic_settings import SettingsError

from cinemo_spec.wording import in_words
from service.contract.settings import Settings
from service.observability.logs import configure_logs, redact

PREFIX = "CINEMO_"


class SettingsInvalid(Exception):
    """The settings are invalid.

    Attributes:
        reasons: for each invalid setting, its name and why, in one line without secrets.
    """

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def read_settings() -> Settings:
    """Return the settings; raises `SettingsInvalid`."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsInvalid([reason(each["loc"], in_words(each)) for each in error.errors()]) from error
    except SettingsError as error:
        raise SettingsInvalid([redact(f"{error}: {error.__cause__}; write it as JSON")]) from error


def require_settings() -> Settings:
    """Return the settings; if they are invalid, log why and end the process."""
    try:
        return read_settings()
    except SettingsInvalid as error:
        configure_logs()
        for each in error.reasons:
            structlog.get_logger().critical("invalid setting", error=each)
        raise SystemExit(1) from error


def settings_of_command() -> Settings:
    """Return the settings; if they are invalid, end the command and print why."""
    try:
        return read_settings()
    except SettingsInvalid as error:
        lines = (f"invalid setting: {each}" for each in error.reasons)
        raise SystemExit("\n".join((*lines, "docs/settings.md lists all settings"))) from error


def reason(location: tuple[int | str, ...], words: str) -> str:
    """Return the name of the variable at an error's location, if there is one, and what is wrong with it."""
    name = f"{PREFIX}{str(location[0]).upper()}: " if location else ""
    return redact(f"{name}{words}")
