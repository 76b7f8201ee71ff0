"""Descriptions of JSON Schemas."""

from typing import Any

import pytest

from service.api.reference.schema_text import Field, SchemaText

COMPONENTS: dict[str, Any] = {
    "Status": {"type": "string", "enum": ["on", "off"], "description": "Whether it\nruns."},
    "Wheel": {
        "type": "object",
        "required": ["size"],
        "properties": {"size": {"type": "integer"}, "colour": {"type": "string"}},
    },
}
SCHEMAS = SchemaText(COMPONENTS, {"Wheel": "Turn a wheel"})


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 10_000_000.0}, "integer, 1 to 10000000"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 0.5}, "number, at least 0, below 0.5"),
        ({"type": "integer", "minimum": 16, "maximum": 64, "multipleOf": 8}, "integer, 16 to 64, multiple of 8"),
        ({"type": "string", "minLength": 1, "maxLength": 200}, "string, 1 to 200 characters"),
        ({"type": "string", "maxLength": 9}, "string, up to 9 characters"),
        ({"type": "string", "pattern": "^a|b$"}, "string, matching `^a|b$`"),
        ({"type": "string", "format": "date-time"}, "timestamp"),
        ({"type": "string", "format": "binary"}, "file"),
        ({"type": "string", "contentEncoding": "base64"}, "base64"),
        ({"type": "boolean"}, "boolean"),
        ({"const": "PUT", "type": "string"}, "`PUT`"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "list of `a`, `b`"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "integer or string"),
        ({"$ref": "#/components/schemas/Status"}, "`on`, `off`"),
        ({"anyOf": [{"$ref": "#/components/schemas/Wheel"}, {"type": "null"}]}, "[Wheel](#turn-a-wheel)"),
    ],
)
def test_types_and_ranges_are_described(schema: dict[str, Any], text: str) -> None:
    assert SCHEMAS.type_and_range(schema) == text


def test_fields_of_nested_objects_are_named_by_path() -> None:
    cart = {"required": ["front"], "properties": {"front": COMPONENTS["Wheel"], "back": COMPONENTS["Wheel"]}}
    fields = {each.name: each.required for each in SCHEMAS.all_fields(cart)}
    assert fields == {"front.size": True, "front.colour": False, "back.size": False, "back.colour": False}


@pytest.mark.parametrize(
    ("schema", "required", "text"),
    [
        ({"type": "string"}, True, "required"),
        ({"type": "string"}, False, ""),
        ({"type": "string", "default": "crop"}, False, "`crop`"),
        ({"type": "boolean", "default": False}, False, "`false`"),
        ({"type": "integer", "default": 0}, False, "`0`"),
        ({"type": "array", "items": {}, "default": ["a", "b"]}, False, "`a`, `b`"),
    ],
)
def test_a_default_is_written_as_it_would_be_sent(schema: dict[str, Any], required: bool, text: str) -> None:
    assert SCHEMAS.default(Field("any", schema, required)) == text


def test_a_description_is_one_line_and_overrides_that_of_a_referenced_component() -> None:
    assert SCHEMAS.description({"$ref": "#/components/schemas/Status"}) == "Whether it runs."
    assert SCHEMAS.description({"$ref": "#/components/schemas/Status", "description": "Own."}) == "Own."
