"""References to a picture as clients of the dialect write them: a file, a URL, a `data:` URL, or an earlier upload."""

import re
from typing import Any
from urllib.parse import unquote

from service.api.fields import pointer_to, wrong
from service.api.strict_json import PICTURE
from service.contract.problems import FieldError

DATA_URL = re.compile(rb"data:[a-z0-9.+-]*\\?/?[a-z0-9.+-]*;base64,", re.IGNORECASE)
"""With the media type, whose slash some encoders of JSON escape."""
LONGEST_PREFIX = 100


def picture_of(name: str, value: Any) -> tuple[str, Any]:
    """Which of our fields a reference is, and what stands in it: a file, whatever its type, or where there is one."""
    if isinstance(value, dict):
        known = {"image_url", "file_id"}
        given = [(key, each) for key, each in value.items() if each is not None]
        if len(given) != 1 or given[0][0] not in known:
            raise wrong(FieldError(pointer_to(name), f"must have one of {' and '.join(sorted(known))}"))
        ((key, place),) = given
        if key == "file_id":
            return "upload_id", place
        return from_url(name, place)
    if isinstance(value, bytes) and not value[:LONGEST_PREFIX].startswith((b"data:", b"https://", b"http://")):
        return "image", value
    return from_url(name, memoryview(value) if isinstance(value, bytes) else value)


def from_url(name: str, url: Any) -> tuple[str, Any]:
    """A URL that is fetched, or the bytes of a `data:` URL; a large one is still as it was sent."""
    if not isinstance(url, str | memoryview):
        raise wrong(FieldError(pointer_to(name), "must be a URL, a file or an object"))
    head = bytes(url[:LONGEST_PREFIX]) if isinstance(url, memoryview) else url[:LONGEST_PREFIX].encode(errors="replace")
    if not head.startswith(b"data:"):
        return "image_url", str(bytes(url), "utf-8", "replace") if isinstance(url, memoryview) else url
    match = DATA_URL.match(head)
    if match is None:
        raise wrong(FieldError(pointer_to(name), "a data: URL must be `data:image/…;base64,…`"))
    encoded = url[match.end() :]
    return PICTURE, unquote(encoded) if isinstance(encoded, str) and "%" in encoded else encoded
