"""The fields of a form, however a client writes what is no text: as JSON, in brackets, or repeated."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from starlette.datastructures import FormData, UploadFile

from service.api.fields import MAX_MEMBERS, pointer_to
from service.api.strict_json import parse_json, without_nulls
from service.contract.problems import FieldError, InvalidInput, MalformedBody

OBJECTS, ARRAYS = ("metadata",), ("webhook_events",)
"""Fields that are no text or number."""
TEXTS = ("prompt",)
"""Text, or an array of texts: of clips with a prompt each."""
JSON, MOST_JSON = "application/json", 256 * 1024
BRACKETS = re.compile(r"([a-z_]+)(?:\[([^\[\]]*)\]|(\{\}))", re.ASCII)
"""`metadata[order]`, `webhook_events[]`, `webhook_events[0]`, and `metadata{}`, which is JSON, as axios writes them."""

Texts = Sequence[tuple[str, str]]


async def read_parts(
    form: FormData, files: Mapping[str, int], either: Collection[str] = ()
) -> tuple[Texts, dict[str, bytes]]:
    """Names and texts, and the files by name, of which some may be `either`; without files which nobody chose.

    A part of JSON is text, whether it comes with a name of a file, as a browser's `Blob` does, or not.

    Raises:
        InvalidInput: a file where text belongs, or twice, or the other way round.
    """
    texts: list[tuple[str, str]] = []
    sent: dict[str, bytes] = {}
    errors = []
    for name, value in form.multi_items():
        if isinstance(value, str):
            if name in files and name not in either and value:
                errors.append(FieldError(pointer_to(name), "a file is required, with a filename"))
            elif name not in files or name in either:
                texts.append((name, value))
        elif name in files:
            data = await value.read()
            if name in sent:
                errors.append(FieldError(pointer_to(name), "is given more than once"))
            if data or value.filename:
                sent[name] = data
        elif media_type(value) == JSON and value.size is not None and value.size <= MOST_JSON:
            texts.append((name, (await value.read()).decode("utf-8", "replace")))
        elif value.size or value.filename:
            errors.append(FieldError(pointer_to(name), "must be text, not a file"))
    if errors:
        raise InvalidInput("a field of the form is wrong", errors)
    return texts, sent


def media_type(part: UploadFile) -> str:
    return (part.content_type or "").partition(";")[0].strip().lower()


def gather(texts: Texts) -> dict[str, Any]:
    """The fields: text as it is, objects and arrays as what they are. Raises `InvalidInput`."""
    fields: dict[str, Any] = {}
    for written, text in texts:
        match = BRACKETS.fullmatch(written)
        name = match[1] if match and match[1] in OBJECTS + ARRAYS + TEXTS else written
        try:
            add(fields, name, match[2] if match and name == match[1] else None, text)
        except MalformedBody as problem:
            raise InvalidInput(f"{name}: {problem}", [FieldError(pointer_to(name), str(problem))]) from problem
    # Nothing can be said to be null in a form but by leaving it empty.
    return without_nulls({name: value for name, value in fields.items() if value != "" or name in TEXTS})


def add(fields: dict[str, Any], name: str, key: str | None, text: str) -> None:
    """Put what a part says where it belongs; raises `MalformedBody`."""
    if name in ARRAYS:
        more = listed(text)
        if not isinstance(more, tuple) or (name in fields and not isinstance(fields[name], tuple)):
            fields[name] = more
        elif len(fields.get(name, ())) <= MAX_MEMBERS:
            fields[name] = (*fields.get(name, ()), *more)
    elif name in TEXTS and (key is not None or text.startswith('["')):
        # No sentence begins so.
        more = tuple(parse_json(short(text))) if text.startswith('["') else (text,)
        fields[name] = (*fields.get(name, ()), *more)
    elif name in OBJECTS and key:
        known = fields.setdefault(name, {})
        if not isinstance(known, dict) or key in known:
            raise MalformedBody(f"{key[:100]!r} is given more than once")
        known[key] = text
    elif name in fields:
        raise MalformedBody("is given more than once")
    elif name in OBJECTS:
        fields[name] = parse_json(short(text)) if text else None
    else:
        fields[name] = text


def listed(text: str) -> Any:
    """The members that one part of an array has: those of JSON, words between commas, or none."""
    if text.lstrip().startswith(("[", "{", '"')) or text == "null":
        found = parse_json(short(text))
        found = tuple(found) if isinstance(found, list) else found
        return (found,) if isinstance(found, str) else found
    return tuple(filter(None, (each.strip() for each in text.split(","))))


def short(text: str) -> str:
    """The JSON of a field; raises `MalformedBody` where it is longer than any that is taken."""
    if len(text) > MOST_JSON:
        raise MalformedBody(f"the JSON has {len(text):,} characters; at most {MOST_JSON:,} are read")
    return text
