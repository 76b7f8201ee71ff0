"""Translates references to a picture: a file, a URL, a `data:` URL, or an earlier upload."""

import re
from typing import Any
from urllib.parse import unquote

from service.api.fields import invalid_fields, pointer_to
from service.api.strict_json import PICTURE
from service.contract.problems import FieldError

DATA_URL = re.compile(rb"data:[a-z0-9.+-]*\\?/?[a-z0-9.+-]*(;[a-z0-9_.+-]+=[a-z0-9_.+%'()-]*)*;base64,", re.IGNORECASE)
"""Includes the media type, whose slash some JSON encoders escape, and its parameters."""
MAX_PREFIX = 400


def translate_reference(name: str, value: Any) -> tuple[str, Any]:
    """Translate a reference into one of our fields and its value."""
    if isinstance(value, dict):
        given = [(key, each) for key, each in value.items() if each is not None]
        if len(given) != 1 or given[0][0] not in ("image_url", "file_id"):
            raise invalid_fields(FieldError(pointer_to(name), "must have exactly one of `file_id` and `image_url`"))
        ((key, target),) = given
        return ("upload_id", target) if key == "file_id" else from_url(name, target)
    if isinstance(value, bytes) and not value[:MAX_PREFIX].lower().startswith((b"data:", b"https://", b"http://")):
        return "image", value
    return from_url(name, memoryview(value) if isinstance(value, bytes) else value)


def from_url(name: str, url: Any) -> tuple[str, Any]:
    """Translate a URL to fetch, or a `data:` URL; a large one is an unparsed view of the body."""
    if not isinstance(url, str | memoryview):
        raise invalid_fields(FieldError(pointer_to(name), "must be a URL, a file or an object"))
    head = bytes(url[:MAX_PREFIX]) if isinstance(url, memoryview) else url[:MAX_PREFIX].encode(errors="replace")
    if not head.lower().startswith(b"data:"):
        return "image_url", str(bytes(url), "utf-8", "replace") if isinstance(url, memoryview) else url
    match = DATA_URL.match(head)
    if match is None:
        raise invalid_fields(FieldError(pointer_to(name), "a `data:` URL must have the form `data:image/…;base64,…`"))
    encoded = url[match.end() :]
    return PICTURE, unquote(encoded) if isinstance(encoded, str) and "%" in encoded else encoded
