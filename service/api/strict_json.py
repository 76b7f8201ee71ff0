"""JSON as RFC 8259 and I-JSON have it, of which nothing large is parsed: a picture in it is set apart beforehand."""

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from service.api.base64_text import pieces, unescaped
from service.contract.problems import BodyTooLarge, MalformedBody

PICTURE = "image_base64"
"""The one text of a body that may be large, unless a route names another, which stands in an object of its own."""
BEFORE_VALUE = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*\"")


def parse_object(data: bytes, most_bytes: int, pictures: Sequence[str] = (PICTURE,)) -> dict[str, Any]:
    """The members of an object; a picture that makes it longer than `most_bytes` as the bytes of its text, undecoded.

    `pictures` are the names that it may have.

    Raises:
        BodyTooLarge: it is longer even without a picture.
        MalformedBody: it is no object, or no JSON; the picture's own text is looked at by nobody yet.
    """
    place = place_of_picture(data, pictures) if len(data) > most_bytes else slice(0, 0)
    if len(data) - (place.stop - place.start) > most_bytes:
        raise BodyTooLarge(f"at most {most_bytes:,} bytes are taken beside the picture")
    mark = secrets.token_hex(16) if place.stop else ""
    fields = parse_json(data[: place.start] + mark.encode() + data[place.stop :])
    if not isinstance(fields, dict):
        raise MalformedBody("the body must be a JSON object")
    if mark:
        put_back(fields, mark, memoryview(data)[place], pictures)
    return fields


def put_back(fields: dict[str, Any], mark: str, picture: memoryview, pictures: Sequence[str]) -> None:
    """Put a picture where its mark stands; raises `MalformedBody` where that is not where a picture belongs."""
    inner = [each for each in fields.values() if isinstance(each, dict)]
    for name in pictures:
        for holder in [fields] if name == PICTURE else inner:
            if holder.get(name) == mark:
                holder[name] = picture
                return
    raise MalformedBody(f"a large {PICTURE} belongs to the outermost object of the JSON")


def place_of_picture(data: bytes, pictures: Sequence[str]) -> slice:
    """Where the longest text of a picture stands, between its quotes; an empty slice at 0 where there is none.

    Of each name, the first place counts.
    """
    found = [place_of(data, f'"{name}"'.encode()) for name in pictures]
    return max(found, key=lambda place: int(place.stop) - int(place.start))


def place_of(data: bytes, name: bytes) -> slice:
    """Where the text that is named so first stands.

    Base64 holds no quotes, so the next one ends it; and a name in quotes before a colon is a name, unless the first
    quote is a part of a longer one.
    """
    start = data.find(name)
    before = BEFORE_VALUE.match(data, start + len(name)) if start >= 0 and data[start - 1 : start] != b"\\" else None
    end = data.find(b'"', before.end()) if before else -1
    return slice(before.end(), end) if before and end > 0 else slice(0, 0)


def parse_json(data: bytes | str) -> Any:
    """A JSON value, arrays as tuples; raises `MalformedBody`."""
    try:
        text = data if isinstance(data, str) else data.decode()
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse_constant)
    except RecursionError as error:
        raise MalformedBody("the JSON is nested too deeply") from error
    except ValueError as error:
        raise MalformedBody(f"this is no JSON: {error}") from error


def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The object, in which no name may stand twice."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise MalformedBody(f"the name {name[:100]!r} stands twice in one object of the JSON")
        found[name] = tuple(value) if isinstance(value, list) else value
    return found


def refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is no JSON")


def without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    """The members that say something: to many clients null is what is not given. Within a value it stands."""
    return {name: value for name, value in fields.items() if value is not None}


def canonical(fields: dict[str, Any]) -> bytes:
    """The same for the same members, in whichever order, spacing and spelling they came."""
    pictures = {name: decoded(value) for name, value in fields.items() if name == PICTURE}
    others = {name: value for name, value in fields.items() if name != PICTURE}
    text = json.dumps(plain(others), sort_keys=True, separators=(",", ":"))
    return b"\n".join((text.encode(), *pictures.values()))


def decoded(picture: Any) -> bytes:
    """The characters of a picture in base64, of which a large one is still as it was written."""
    if isinstance(picture, memoryview):
        return b"".join(unescaped(piece) for piece in pieces(picture))
    return json.dumps(picture).encode() if not isinstance(picture, str) else picture.encode("utf-8", "replace")


def plain(value: Any) -> Any:
    """JSON has one kind of numbers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value
