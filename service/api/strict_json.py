"""Parses strict JSON (RFC 8259, I-JSON) without parsing large pictures: they are cut out first."""

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from service.api.base64_text import chunks, unescaped
from service.contract.problems import BodyTooLarge, MalformedBody

PICTURE = "image_base64"
"""The member that may be large. Others that a route names in `pictures` are members of an inner object."""
BEFORE_VALUE = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*\"")


def parse_object(data: bytes, max_bytes: int, pictures: Sequence[str] = (PICTURE,)) -> dict[str, Any]:
    """Parse an object.

    Args:
        data: the body.
        max_bytes: how much is parsed. If the body is larger, its picture is left unparsed, as a `memoryview` of the
            text between the quotes.
        pictures: possible names of the picture.

    Raises:
        BodyTooLarge: the body is too large even without a picture.
        MalformedBody: it is not a JSON object. An unparsed picture is not checked.
    """
    cut = find_picture(data, pictures) if len(data) > max_bytes else slice(0, 0)
    if len(data) - (cut.stop - cut.start) > max_bytes:
        raise BodyTooLarge(f"the body without the picture is larger than {max_bytes:,} bytes")
    placeholder = secrets.token_hex(16) if cut.stop else ""
    fields = parse_json(data[: cut.start] + placeholder.encode() + data[cut.stop :])
    if not isinstance(fields, dict):
        raise MalformedBody("the body must be a JSON object")
    if placeholder:
        restore_picture(fields, placeholder, memoryview(data)[cut], pictures)
    return fields


def restore_picture(fields: dict[str, Any], placeholder: str, picture: memoryview, pictures: Sequence[str]) -> None:
    """Replace the placeholder with the picture; raises `MalformedBody` if it is not where a picture may be."""
    inner = [each for each in fields.values() if isinstance(each, dict)]
    for name in pictures:
        for holder in [fields] if name == PICTURE else inner:
            if holder.get(name) == placeholder:
                holder[name] = picture
                return
    raise MalformedBody(f"a large {PICTURE} must be a member of the outermost JSON object")


def find_picture(data: bytes, pictures: Sequence[str]) -> slice:
    """Find the longest picture's text, between the quotes; an empty slice at 0 if there is none.

    Only the first occurrence of each name counts.
    """
    found = [find_text(data, f'"{name}"'.encode()) for name in pictures]
    return max(found, key=lambda span: int(span.stop) - int(span.start))


def find_text(data: bytes, name: bytes) -> slice:
    """Find the text value after the first occurrence of a quoted name.

    Base64 contains no quotes, so the next quote ends it. A quoted name before a colon is a member's name, unless its
    first quote is escaped and belongs to a longer name.
    """
    start = data.find(name)
    before = BEFORE_VALUE.match(data, start + len(name)) if start >= 0 and data[start - 1 : start] != b"\\" else None
    end = data.find(b'"', before.end()) if before else -1
    return slice(before.end(), end) if before and end > 0 else slice(0, 0)


def parse_json(data: bytes | str) -> Any:
    """Parse a JSON value; arrays inside objects become tuples. Raises `MalformedBody`."""
    try:
        text = data if isinstance(data, str) else data.decode()
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse_constant)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise MalformedBody(f"invalid JSON: {error}") from error


def too_deep() -> MalformedBody:
    return MalformedBody("the JSON is nested too deeply")


def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; raises `MalformedBody` if it has a duplicate name."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise MalformedBody(f"the name {name[:100]!r} is duplicated in a JSON object")
        found[name] = tuple(value) if isinstance(value, list) else value
    return found


def refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is not valid JSON")


def without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    """Drop null members, which many clients send for omitted ones; nulls inside a value are kept."""
    return {name: value for name, value in fields.items() if value is not None}


def canonical(fields: dict[str, Any]) -> bytes:
    """Serialize fields so that equal ones give equal bytes, whatever their order, spacing and escapes were.

    Raises:
        MalformedBody: an unknown field is nested too deeply; those that are known have been validated, or will be.
    """
    pictures = {name: picture_bytes(value) for name, value in fields.items() if name == PICTURE}
    others = {name: value for name, value in fields.items() if name != PICTURE}
    try:
        text = json.dumps(normalized(others), sort_keys=True, separators=(",", ":"))
    except RecursionError as error:
        raise too_deep() from error
    return b"\n".join((text.encode(), *pictures.values()))


def picture_bytes(picture: Any) -> bytes:
    """Return a picture's base64 text, without JSON escapes, which a large one still has."""
    if isinstance(picture, memoryview):
        return b"".join(unescaped(chunk) for chunk in chunks(picture))
    return json.dumps(picture).encode() if not isinstance(picture, str) else picture.encode("utf-8", "replace")


def normalized(value: Any) -> Any:
    """Turn whole floats into integers: JSON doesn't distinguish them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: normalized(each) for name, each in value.items()}
    return [normalized(each) for each in value] if isinstance(value, list | tuple) else value
