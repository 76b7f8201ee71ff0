"""Checks values against their declarations in `parameters.py`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, get_args

from cinemo_spec.errors import InvalidParameter
from cinemo_spec.formats import MAX_SIDE, MIN_SIDE, MODEL_MULTIPLE, Detail
from cinemo_spec.parameters import AnimateParameters, DecodingParameters, EditParameters, FirstFrame, Parameters


@dataclass(frozen=True)
class Range:
    """From `minimum` to `maximum` inclusive; with `multiple`, only integers that are multiples of it."""

    minimum: float
    maximum: float
    multiple: int | None = None

    def holds(self, value: float) -> bool:
        whole = self.multiple is None or (isinstance(value, Integral) and value % self.multiple == 0)
        return whole and self.minimum <= value <= self.maximum

    def __str__(self) -> str:
        multiples = {None: "", 1: ", whole"}.get(self.multiple, f", a multiple of {self.multiple}")
        return f"from {self.minimum} to {self.maximum}{multiples}"


@cache
def schema_of(declared: type[Parameters]) -> Mapping[str, dict[str, Any]]:
    """The JSON schema of each parameter; for optional ones, that of the value if given."""
    properties: dict[str, dict[str, Any]] = declared.model_json_schema()["properties"]
    return {name: {**each, **each["anyOf"][0]} if "anyOf" in each else each for name, each in properties.items()}


@cache
def ranges_of(declared: type[Parameters]) -> Mapping[str, Range]:
    """The ranges of all numeric parameters."""
    return {
        name: Range(each["minimum"], each["maximum"], each.get("multipleOf", 1) if each["type"] == "integer" else None)
        for name, each in schema_of(declared).items()
        if "minimum" in each
    }


def texts_of(declared: type[Parameters]) -> dict[str, str]:
    """The description of each parameter, with its range."""
    ranges = {name: f" {str(each).capitalize()}." for name, each in ranges_of(declared).items()}
    return {name: each["description"] + ranges.get(name, "") for name, each in schema_of(declared).items()}


RANGES = {**ranges_of(AnimateParameters), **ranges_of(EditParameters), **ranges_of(DecodingParameters)}
MODEL_SIDE = Range(MIN_SIDE, MAX_SIDE, MODEL_MULTIPLE)
"""Range of a side of the model's own output."""


def check_declared(declared: type[Parameters], given: Mapping[str, Any], called: Mapping[str, str]) -> None:
    """Raise `InvalidParameter` for the first value that its declaration does not allow; None is allowed.

    Args:
        declared: the declarations.
        given: values by declared name; other names are ignored.
        called: the caller's names, for messages, where they differ from the declared ones.
    """
    ranges, schema = ranges_of(declared), schema_of(declared)
    for name, value in given.items():
        if value is None or name not in schema:
            continue
        if name in ranges:
            check_range(called.get(name, name), value, ranges[name])
        elif "enum" in schema[name]:
            check_word(called.get(name, name), value, schema[name]["enum"])


def check_ranges(**values: float) -> None:
    """Raise `InvalidParameter` for the first number out of its range."""
    for name, value in values.items():
        check_range(name, value, RANGES[name])


def check_range(name: str, value: float, allowed: Range) -> None:
    """Raise `InvalidParameter` if a value is not a number, or out of range."""
    if not isinstance(value, Real):
        raise InvalidParameter(f"{name} must be one number, {allowed}, got {value!r}; for several, call once for each")
    if not allowed.holds(value):
        raise InvalidParameter(f"{name} must be {allowed}, got {value}")


def check_sides(detail: Detail, width: float, height: float) -> None:
    """Raise `InvalidParameter` if a side is out of range."""
    check_word("detail", detail, get_args(Detail))
    for name, side in (("width", width), ("height", height)):
        check_range(name, side, MODEL_SIDE if detail == "off" else RANGES[name])


def check_factor(detail: Detail, frame_rate_factor: int) -> None:
    """Raise `InvalidParameter` if the factor is out of range, or above 1 with `detail` `off`."""
    check_ranges(frame_rate_factor=frame_rate_factor)
    if detail == "off" and frame_rate_factor > 1:
        raise InvalidParameter(f"frame_rate_factor must be 1 with detail off, got {frame_rate_factor}")


def check_first_frame(detail: Detail, first_frame: FirstFrame) -> None:
    """Raise `InvalidParameter` for `decoded` without `detail` `off`: otherwise the first frame is the photo."""
    check_word("first_frame", first_frame, get_args(FirstFrame))
    if detail == "photo" and first_frame != "photo":
        raise InvalidParameter("first_frame decoded needs detail off")


def check_word(name: str, word: str, known: Iterable[str]) -> None:
    """Raise `InvalidParameter` for an unknown word."""
    known = tuple(known)
    if word not in known:
        raise InvalidParameter(f"{name} must be {' or '.join(known)}, got {word}")
