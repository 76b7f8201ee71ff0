"""Parses form fields. Clients encode objects and arrays in many ways: as JSON, in brackets, or repeated."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from starlette.datastructures import FormData, UploadFile

from service.api.fields import MAX_MEMBERS, invalid_fields, pointer_to
from service.api.strict_json import parse_json, without_nulls
from service.contract.problems import FieldError, InvalidInput, MalformedBody

OBJECTS, ARRAYS = ("metadata",), ("webhook_events", "adapters")
"""Fields that are neither text nor numbers."""
TEXT_OR_ARRAY = ("prompt",)
"""Text, or an array of texts, one per clip."""
JSON, MAX_JSON_CHARS = "application/json", 256 * 1024
BRACKETS = re.compile(r"([a-z_]+)(?:\[([^\[\]]*)\]|(\{\}))", re.ASCII)
"""`metadata[order]`, `webhook_events[]`, `webhook_events[0]`, and axios' `metadata{}`, whose value is JSON."""

Texts = Sequence[tuple[str, str]]


async def read_parts(
    form: FormData, files: Mapping[str, int], file_or_text: Collection[str] = ()
) -> tuple[Texts, dict[str, bytes]]:
    """Return the form's text fields, and its files by name; fields in `file_or_text` may be either.

    Empty file inputs are dropped. JSON parts count as text, even with a filename, which a browser's `Blob` has.

    Raises:
        InvalidInput: a file where text is expected, or the reverse, or a duplicate file.
    """
    texts: list[tuple[str, str]] = []
    contents: dict[str, bytes] = {}
    errors = []
    for name, value in form.multi_items():
        if isinstance(value, str):
            if name in files and name not in file_or_text and value:
                errors.append(FieldError(pointer_to(name), "a file is required, with a filename"))
            elif name not in files or name in file_or_text:
                texts.append((name, value))
        elif name in files:
            data = await value.read()
            if name in contents:
                errors.append(FieldError(pointer_to(name), "is given more than once"))
            if data or value.filename:
                contents[name] = data
        elif media_type(value) == JSON and value.size is not None and value.size <= MAX_JSON_CHARS:
            texts.append((name, (await value.read()).decode("utf-8", "replace")))
        elif value.size or value.filename:
            errors.append(FieldError(pointer_to(name), "must be text, not a file"))
    if errors:
        raise invalid_fields(*errors)
    return texts, contents


def media_type(part: UploadFile) -> str:
    return (part.content_type or "").partition(";")[0].strip().lower()


def parse_fields(texts: Texts) -> dict[str, Any]:
    """Return the fields by name, objects and arrays parsed; raises `InvalidInput`."""
    fields: dict[str, Any] = {}
    for full_name, text in texts:
        match = BRACKETS.fullmatch(full_name)
        name = match[1] if match and match[1] in OBJECTS + ARRAYS + TEXT_OR_ARRAY else full_name
        try:
            add_value(fields, name, match[2] if match and name == match[1] else None, text)
        except MalformedBody as problem:
            raise InvalidInput(f"{name}: {problem}", [FieldError(pointer_to(name), str(problem))]) from problem
    # Forms have no null: an empty field stands for it.
    return without_nulls({name: value for name, value in fields.items() if value != "" or name in TEXT_OR_ARRAY})


def add_value(fields: dict[str, Any], name: str, key: str | None, text: str) -> None:
    """Add one part's value to its field; `key` is what the name has in brackets. Raises `MalformedBody`."""
    if name in ARRAYS:
        items = parse_array(text)
        if not isinstance(items, tuple) or (name in fields and not isinstance(fields[name], tuple)):
            fields[name] = items
        elif len(fields.get(name, ())) <= MAX_MEMBERS:
            fields[name] = (*fields.get(name, ()), *items)
    elif name in TEXT_OR_ARRAY and (key is not None or text.startswith('["')):
        # No prompt starts with `["`, so this is a JSON array.
        items = tuple(parse_json_field(text)) if text.startswith('["') else (text,)
        fields[name] = (*fields.get(name, ()), *items)
    elif name in OBJECTS and key:
        members = fields.setdefault(name, {})
        if not isinstance(members, dict) or key in members:
            raise MalformedBody(f"{key[:100]!r} is given more than once")
        members[key] = text
    elif name in fields:
        raise MalformedBody("is given more than once")
    elif name in OBJECTS:
        fields[name] = parse_json_field(text) if text else None
    else:
        fields[name] = text


def parse_array(text: str) -> Any:
    """Parse one part of an array, JSON or comma-separated words; a tuple, unless the JSON is something else."""
    if text.lstrip().startswith(("[", "{", '"')) or text == "null":
        found = parse_json_field(text)
        found = tuple(found) if isinstance(found, list) else found
        return (found,) if isinstance(found, str) else found
    return tuple(filter(None, (each.strip() for each in text.split(","))))


def parse_json_field(text: str) -> Any:
    """Parse a field's JSON; raises `MalformedBody`, also if it is too long."""
    if len(text) > MAX_JSON_CHARS:
        raise MalformedBody(f"the JSON has {len(text):,} characters; the limit is {MAX_JSON_CHARS:,}")
    return parse_json(text)
