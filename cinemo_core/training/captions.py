"""Reads captions from text and JSON: detects the encoding, and picks the field."""

import codecs
import json
from collections.abc import Mapping
from typing import Any

MAX_CAPTION_BYTES = 64 * 1024
CAPTION_COLUMNS = ("caption", "text", "prompt")
"""Names of the caption field in a manifest or JSON object; the first that is not empty counts."""

CAPTION_SUFFIXES = (".txt", ".caption", ".json")
"""Suffixes of caption files, in any case; the first file that is not empty counts."""

# UTF-32's mark comes before UTF-16's, as it begins with the same bytes.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(data: bytes) -> str:
    """Decode text by its byte order mark, or else as UTF-8; raises `ValueError` if it is neither."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    return data.decode()


def read_caption(name: str, data: bytes) -> str:
    """The caption in a video's sidecar file: its text, or the caption field of a JSON object, empty if there is none.

    Raises:
        ValueError: the text is neither UTF-8 nor marked with another known encoding.
    """
    if name.lower().endswith(".json"):
        return json_caption(data)
    text = decoded(data).strip()
    if "\0" in text:
        raise ValueError("neither UTF-8 nor UTF-16 with a byte order mark")
    return text


def json_caption(data: bytes) -> str:
    """The caption field of a JSON object; empty if there is none."""
    try:
        fields = json.loads(data)
        return caption_of(fields) if isinstance(fields, dict) else ""
    except (ValueError, RecursionError):
        return ""


def caption_of(fields: Mapping[str, Any]) -> str:
    """The first caption that is not empty, or else ""; raises `ValueError` if one is not valid text."""
    for name in CAPTION_COLUMNS:
        value = fields.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise ValueError(f"{name} must be text")
        if not is_text(value):
            raise ValueError(f"{name} must be Unicode text, without half of a surrogate pair")
        if len(value.encode()) > MAX_CAPTION_BYTES:
            raise ValueError(f"{name} has {len(value.encode()):,} bytes; at most {MAX_CAPTION_BYTES:,} are allowed")
        if value.strip():
            return value.strip()
    return ""


def is_text(value: str) -> bool:
    """Whether a string can be encoded as UTF-8; JSON can contain lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
