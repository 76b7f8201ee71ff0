"""Timestamps and days that clients send: RFC 3339 with an offset from UTC, and ISO 8601."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", re.ASCII)
ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
LOST_PLUS = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)", re.ASCII)
"""In a query, an unescaped `+02:00` arrives with a space instead of the plus."""


def require_text(value: Any) -> Any:
    """Reject numbers, which pydantic would interpret as Unix seconds."""
    if not isinstance(value, datetime) and not (isinstance(value, str) and RFC_3339.match(value)):
        raise ValueError("must be an RFC 3339 timestamp, such as 2026-11-24T09:21:45Z")
    return LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value


Timestamp = Annotated[AwareDatetime, BeforeValidator(require_text)]


def require_day(value: Any) -> Any:
    """Reject numbers, which pydantic would interpret as Unix seconds."""
    if not isinstance(value, date) and not (isinstance(value, str) and ISO_DAY.fullmatch(value)):
        raise ValueError("must be a day, such as 2026-11-24")
    return value


Day = Annotated[date, BeforeValidator(require_day)]
