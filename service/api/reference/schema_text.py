"""Describes JSON Schemas in words: types, ranges and defaults of fields."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.api.reference.blocks import code, link

Schema = dict[str, Any]

NULL = {"type": "null"}
FORMATS = {"date-time": "timestamp", "binary": "file"}
BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "multipleOf": "multiple of",
}


@dataclass(frozen=True)
class Field:
    """A field of an object; `name` is its path from the outermost one, such as `data.source`."""

    name: str
    schema: Schema
    required: bool


class SchemaText:
    """Describes schemas that refer to components, some of which are explained under a heading."""

    def __init__(self, components: Mapping[str, Schema], headings: Mapping[str, str]) -> None:
        self._components = components
        self._headings = headings

    def resolve(self, schema: Schema) -> Schema:
        """Replace a reference and drop null, keeping the keywords beside them."""
        if "$ref" in schema:
            return {**self._components[component_of(schema)], **without(schema, "$ref")}
        kinds = [each for each in schema.get("anyOf", ()) if each != NULL]
        return {**self.resolve(kinds[0]), **without(schema, "anyOf")} if len(kinds) == 1 else schema

    def own_fields(self, schema: Schema) -> list[Field]:
        """Return the fields of an object."""
        found = self.resolve(schema)
        required = found.get("required", ())
        return [Field(name, each, name in required) for name, each in found.get("properties", {}).items()]

    def all_fields(self, schema: Schema) -> Iterator[Field]:
        """Return the fields of an object, with nested objects replaced by their fields."""
        for field in self.own_fields(schema):
            inner = list(self.all_fields(field.schema))
            for below in inner:
                yield Field(f"{field.name}.{below.name}", below.schema, field.required and below.required)
            if not inner:
                yield field

    def type_and_range(self, schema: Schema) -> str:
        """Describe the values that a schema allows."""
        if component_of(schema) in self._headings:
            return link(self._headings[component_of(schema)], component_of(schema))
        if "anyOf" in schema:
            return " or ".join(self.type_and_range(each) for each in schema["anyOf"] if each != NULL)
        found = self.resolve(schema)
        if "enum" in found:
            return ", ".join(code(each) for each in found["enum"])
        if "const" in found:
            return code(found["const"])
        if found.get("type") == "array":
            return f"list of {self.type_and_range(found['items'])}"
        return ", ".join(each for each in (type_of(found), number_range(found), length(found), pattern(found)) if each)

    def default(self, field: Field) -> str:
        """Describe a field's default; empty if it has none, or an empty one."""
        if field.required:
            return "required"
        default = self.resolve(field.schema).get("default")
        if default in (None, "", {}):
            return ""
        return (
            ", ".join(code(each) for each in default)
            if isinstance(default, list)
            else code(json.dumps(default).strip('"'))
        )

    def description(self, schema: Schema) -> str:
        """Return a schema's description on one line."""
        return " ".join(self.resolve(schema).get("description", "").split())


def component_of(schema: Schema) -> str:
    """Return the name of the component that a schema refers to, or an empty string."""
    name: str = schema.get("$ref", "").rpartition("/")[2]
    return name


def without(schema: Schema, key: str) -> Schema:
    return {name: each for name, each in schema.items() if name != key}


def type_of(schema: Schema) -> str:
    kind = str(schema.get("type", "anything"))
    return FORMATS.get(schema.get("format", ""), schema.get("contentEncoding") or kind)


def number_range(schema: Schema) -> str:
    """Describe a number's bounds and factor."""
    parts = [f"{word} {plain(schema[key])}" for key, word in BOUNDS.items() if key in schema]
    if {"minimum", "maximum"} <= schema.keys():
        parts[:2] = [f"{plain(schema['minimum'])} to {plain(schema['maximum'])}"]
    return ", ".join(parts)


def plain(number: float) -> str:
    """Format a number, a whole one without fraction."""
    return str(int(number)) if number == int(number) else str(number)


def length(schema: Schema) -> str:
    """Describe a text's length."""
    minimum, maximum = schema.get("minLength"), schema.get("maxLength")
    if minimum and maximum:
        return f"{minimum} to {maximum} characters"
    return f"up to {maximum} characters" if maximum else ""


def pattern(schema: Schema) -> str:
    return f"matching {code(schema['pattern'])}" if "pattern" in schema else ""
