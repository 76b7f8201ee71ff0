"""Points in time as clients send them: RFC 3339, with the offset from UTC."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", re.ASCII)


LOST_PLUS = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)", re.ASCII)
"""Of a query, where `+02:00` that is sent as it stands arrives with a space."""


def require_text(value: Any) -> Any:
    """Refuse numbers, which would be read as seconds since 1970."""
    if not isinstance(value, datetime) and not (isinstance(value, str) and RFC_3339.match(value)):
        raise ValueError("must be a time as of RFC 3339, 2026-11-24T09:21:45Z")
    return LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value


Timestamp = Annotated[AwareDatetime, BeforeValidator(require_text)]
