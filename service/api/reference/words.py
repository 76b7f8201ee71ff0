"""What JSON Schemas say, in words: what may stand in a field, and what stands there by default."""

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
    """A field of an object; `name` leads to it from the outermost one, `data.source`."""

    name: str
    schema: Schema
    required: bool


class Vocabulary:
    """Reads schemas that refer to components, some of which are explained under a heading."""

    def __init__(self, components: Mapping[str, Schema], headings: Mapping[str, str]) -> None:
        self._components = components
        self._headings = headings

    def resolve(self, schema: Schema) -> Schema:
        """The schema without reference and without null, and with what is said beside them."""
        if "$ref" in schema:
            return {**self._components[component_of(schema)], **without(schema, "$ref")}
        kinds = [each for each in schema.get("anyOf", ()) if each != NULL]
        return {**self.resolve(kinds[0]), **without(schema, "anyOf")} if len(kinds) == 1 else schema

    def own_fields(self, schema: Schema) -> list[Field]:
        """The fields of an object."""
        found = self.resolve(schema)
        required = found.get("required", ())
        return [Field(name, each, name in required) for name, each in found.get("properties", {}).items()]

    def all_fields(self, schema: Schema) -> Iterator[Field]:
        """The fields of an object, and in place of those that are objects themselves, theirs."""
        for field in self.own_fields(schema):
            inner = list(self.all_fields(field.schema))
            for below in inner:
                yield Field(f"{field.name}.{below.name}", below.schema, field.required and below.required)
            if not inner:
                yield field

    def kind(self, schema: Schema) -> str:
        """What may stand there: type and range."""
        if component_of(schema) in self._headings:
            return link(self._headings[component_of(schema)], component_of(schema))
        if "anyOf" in schema:
            return " or ".join(self.kind(each) for each in schema["anyOf"] if each != NULL)
        found = self.resolve(schema)
        if "enum" in found:
            return ", ".join(code(each) for each in found["enum"])
        if "const" in found:
            return code(found["const"])
        if found.get("type") == "array":
            return f"list of {self.kind(found['items'])}"
        return ", ".join(each for each in (type_of(found), number_range(found), length(found), shape(found)) if each)

    def default(self, field: Field) -> str:
        """What stands there where nothing is given; empty where that is said elsewhere, or is nothing."""
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
        """What it means, on one line."""
        return " ".join(self.resolve(schema).get("description", "").split())


def component_of(schema: Schema) -> str:
    """The name of the component that a schema refers to, if it does."""
    name: str = schema.get("$ref", "").rpartition("/")[2]
    return name


def without(schema: Schema, key: str) -> Schema:
    return {name: each for name, each in schema.items() if name != key}


def type_of(schema: Schema) -> str:
    kind = str(schema.get("type", "anything"))
    return FORMATS.get(schema.get("format", ""), schema.get("contentEncoding") or kind)


def number_range(schema: Schema) -> str:
    """The bounds of a number, and what it is a multiple of."""
    parts = [f"{word} {plain(schema[key])}" for key, word in BOUNDS.items() if key in schema]
    if {"minimum", "maximum"} <= schema.keys():
        parts[:2] = [f"{plain(schema['minimum'])} to {plain(schema['maximum'])}"]
    return ", ".join(parts)


def plain(number: float) -> str:
    """Without a fraction where there is none."""
    return str(int(number)) if number == int(number) else str(number)


def length(schema: Schema) -> str:
    """How long a text may be."""
    least, most = schema.get("minLength"), schema.get("maxLength")
    if least and most:
        return f"{least} to {most} characters"
    return f"up to {most} characters" if most else ""


def shape(schema: Schema) -> str:
    return f"matching {code(schema['pattern'])}" if "pattern" in schema else ""
