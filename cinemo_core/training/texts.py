"""Texts that others wrote: in which encoding, and which of their fields is a caption."""

import codecs
import json
from collections.abc import Mapping
from typing import Any

MOST_CAPTION_BYTES = 64 * 1024
CAPTION_COLUMNS = ("caption", "text", "prompt")
"""What a caption is called, in a manifest or an object; the first that says something counts."""

CAPTION_SUFFIXES = (".txt", ".caption", ".json")
"""Of a file that holds a video's caption, in any case; the first that says something counts."""

# UTF-32's mark begins as one of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(data: bytes) -> str:
    """A text in the encoding that its byte order mark names, else UTF-8; raises `ValueError` where it is none."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    return data.decode()


def read_caption(name: str, data: bytes) -> str:
    """What a file beside a video says of it: its text, or the caption of a JSON object, empty where that has none.

    Raises:
        ValueError: the text is in no encoding that is known.
    """
    if name.lower().endswith(".json"):
        return json_caption(data)
    text = decoded(data).strip()
    if "\0" in text:
        raise ValueError("neither UTF-8 nor UTF-16 with a byte order mark")
    return text


def json_caption(data: bytes) -> str:
    """The caption of a JSON object; empty where there is none."""
    try:
        fields = json.loads(data)
        return caption_of(fields) if isinstance(fields, dict) else ""
    except (ValueError, RecursionError):
        return ""


def caption_of(fields: Mapping[str, Any]) -> str:
    """The first caption that says something, empty where none does; raises `ValueError` where one is no text."""
    for name in CAPTION_COLUMNS:
        value = fields.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise ValueError(f"{name} must be text")
        if not is_text(value):
            raise ValueError(f"{name} must be Unicode text, without half of a surrogate pair")
        if len(value.encode()) > MOST_CAPTION_BYTES:
            raise ValueError(f"{name}: a caption may have {MOST_CAPTION_BYTES:,} bytes")
        if value.strip():
            return value.strip()
    return ""


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8; JSON can name one half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
