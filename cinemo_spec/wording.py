"""Says in plain English why a field is invalid, in place of pydantic's words, which are those of Python's types."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

TIME = "must be an RFC 3339 timestamp, such as 2026-11-24T09:21:45Z"
DAY = "must be a day, such as 2026-11-24"

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is required",
        "extra_forbidden": "unknown field",
        "string_type": "must be text",
        "string_unicode": "must not contain lone surrogates",
        "string_too_short": "must have at least {min_length} {unit}",
        "string_too_long": "must have at most {max_length} {unit}",
        "string_pattern_mismatch": "must match the pattern {pattern}",
        "int_type": "must be an integer",
        "int_parsing": "must be an integer",
        "int_parsing_size": "must be an integer of fewer digits",
        "int_from_float": "must be an integer, without a fraction",
        "float_type": "must be a number",
        "float_parsing": "must be a number",
        "finite_number": "must be a finite number",
        "greater_than": "must be greater than {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be less than {lt}",
        "less_than_equal": "must be at most {le}",
        "multiple_of": "must be a multiple of {multiple_of}",
        "bool_type": "must be true or false",
        "bool_parsing": "must be true or false",
        "literal_error": "must be {expected}",
        "enum": "must be {expected}",
        "tuple_type": "must be an array",
        "dict_type": "must be an object",
        "model_type": "must be an object",
        "json_invalid": "must be JSON: {error}",
        "path_type": "must be a path",
        "too_short": "must have at least {min_length} {unit}",
        "too_long": "must have at most {max_length} {unit}",
        "date_from_datetime_parsing": DAY,
        "datetime_from_date_parsing": TIME,
        "timezone_aware": TIME,
    }
)
"""By the type of pydantic's error, all that a request, a command or a policy's answer can cause.

The braces hold members of the error's context.
"""


def in_words(error: Mapping[str, Any]) -> str:
    """Return why a field is invalid, from an entry of pydantic's `errors()`; our own checks say it themselves."""
    words = WORDS.get(error["type"])
    if words is None:
        return str(error["msg"]).removeprefix("Value error, ")
    context = {name: plain(value) for name, value in error.get("ctx", {}).items()}
    length = context.get("min_length", context.get("max_length"))
    return words.format(**context, unit=unit_of(error["input"]) + ("" if length == 1 else "s"))


def with_place(error: Mapping[str, Any], whole: str = "") -> str:
    """Return the field, or what is invalid as a `whole`, and why, in one line."""
    place = ".".join(map(str, error["loc"])) or whole
    return f"{place}: {in_words(error)}" if place else in_words(error)


def unit_of(value: Any) -> str:
    """Return what counts towards a value's length."""
    if isinstance(value, str):
        return "character"
    return "member" if isinstance(value, dict) else "item"


def plain(value: Any) -> Any:
    """Return a whole float as an integer: JSON doesn't distinguish them."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
