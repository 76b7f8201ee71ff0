"""Generates the client's models, parameters and tool arguments from the service's OpenAPI document, or lists the stale.

Tools also get the service's words for invalid arguments. It supports the kinds of schema that occur in the document,
and fails on any other.
"""

import argparse
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cinemo_spec.wording import WORDS

CLIENT = Path(__file__).parents[1]
DOCUMENT = CLIENT.parents[1] / "docs" / "openapi.json"
PACKAGE = CLIENT / "src" / "cinemo_client"
LINE_LENGTH = 120

Schema = dict[str, Any]

MODELS = '''"""What the API returns and accepts. Generated from `docs/openapi.json` by `make generate`: do not edit.

Limits are checked by the service, as they depend on its settings. Fields that a newer service adds are kept.
"""

from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ApiModel(BaseModel):
    """Base class of all models."""

    model_config = ConfigDict(extra="allow")


class ApiEnum(str, Enum):
    """Base class of all enumerations, whose members are strings."""

    def __str__(self) -> str:
        return str(self.value)
'''

PARAMETERS = '''"""The parameters of jobs, typed as keyword arguments for editors and type checkers.

Generated from `docs/openapi.json` by `make generate`: do not edit.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict
'''

SEPARATE_ARGUMENTS = {
    "animate": {"prompt", "image_base64", "image_url", "upload_id"},
    "edit": {"video_upload_id", "image_base64", "image_url", "upload_id"},
}
"""Fields of a request that its method takes as separate arguments."""
NOT_FOR_AGENTS = {"webhook_url", "webhook_events", "preview"} | set().union(*SEPARATE_ARGUMENTS.values()) - {"prompt"}
"""Fields that agents don't need, or that their tools describe differently."""
FOR_AGENTS = {"`GET /models`": "`models`"}
"""Replacements in descriptions for agents."""
ARGUMENT_ERRORS = (
    *("missing", "extra_forbidden", "string_type", "string_unicode", "int_type", "int_parsing", "int_parsing_size"),
    *("int_from_float", "finite_number", "greater_than_equal", "less_than_equal"),
)
"""Types of pydantic's errors for the arguments that the tools check themselves."""

DATES = {"date-time": "datetime", "date": "date"}
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class UnsupportedSchema(Exception):
    """The document has a schema that the generator doesn't support."""


def main() -> None:
    """Write the files, or with `--check` exit with 1 if they are stale."""
    parser = argparse.ArgumentParser(description="Generate the client's models from docs/openapi.json.")
    parser.add_argument("--check", action="store_true", help="only report what is stale")
    check: bool = parser.parse_args().check
    document = json.loads(DOCUMENT.read_text())
    generated = {
        PACKAGE / "models.py": models(document),
        PACKAGE / "parameters.py": parameters(document),
        PACKAGE / "mcp" / "arguments.json": arguments(document),
        PACKAGE / "mcp" / "words.json": words(),
    }
    stale = [path for path, text in generated.items() if not path.exists() or path.read_text() != text]
    if check and stale:
        sys.exit(f"stale: {', '.join(path.name for path in stale)}; run `make generate`")
    for path in stale:
        path.write_text(generated[path])


def models(document: Schema) -> str:
    """The module with all components, each after those that it refers to."""
    schemas: dict[str, Schema] = document["components"]["schemas"]
    return formatted("\n\n".join([MODELS, *(declaration(name, schemas) for name in in_order(schemas))]))


def parameters(document: Schema) -> str:
    """The module with the keyword arguments of `animate` and `edit`."""
    classes = [PARAMETERS]
    for operation, separate in SEPARATE_ARGUMENTS.items():
        fields = [
            line
            for name, schema in body_of(document, operation)["properties"].items()
            if name not in separate
            for line in (f"{name}: {argument_type(schema)}", *description_of(schema))
        ]
        title = f'"""Fields of `POST /{operation}`."""'
        classes.append(class_of(f"{operation.title()}Parameters(TypedDict, total=False)", [title, "", *fields]))
    return formatted("\n\n".join(classes))


def body_of(document: Schema, operation: str) -> Schema:
    """The schema of an operation's JSON body."""
    content = document["paths"][f"/{operation}"]["post"]["requestBody"]["content"]
    schema: Schema = content["application/json"]["schema"]
    return schema


def arguments(document: Schema) -> str:
    """The JSON Schema of the fields that agents' tools forward to `animate` and `edit`."""
    schemas = {}
    for operation in SEPARATE_ARGUMENTS:
        body = body_of(document, operation)
        fields = {name: argument(schema) for name, schema in body["properties"].items() if name not in NOT_FOR_AGENTS}
        schemas[operation] = {"properties": fields, **({"required": body["required"]} if body.get("required") else {})}
    return json.dumps(schemas, indent=1, ensure_ascii=False) + "\n"


def words() -> str:
    """Why an argument is invalid, in the service's words, by the type of pydantic's error."""
    return json.dumps({kind: WORDS[kind] for kind in ARGUMENT_ERRORS}, indent=1) + "\n"


def argument(schema: Schema) -> Schema:
    """A field as an argument for agents: without titles, notes about forms, and null, as they can omit it."""
    kept = {name: each for name, each in schema.items() if name not in ("title", "anyOf", "default", "examples")}
    kinds = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(kinds) == 1:
        kept = {**kinds[0], **kept}
    elif kinds:
        kept["anyOf"] = kinds
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    if "description" in kept:
        text = re.sub(r" In forms, [^.]*\.", "", kept["description"])
        for word, replacement in FOR_AGENTS.items():
            text = text.replace(word, replacement)
        kept["description"] = text
    return kept


def formatted(text: str) -> str:
    """The text, formatted by ruff with the client's settings."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PACKAGE / "generated.py"), "-"]
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


def in_order(schemas: dict[str, Schema]) -> list[str]:
    """The names of the components, each after those that it refers to."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        for other in references(schemas[name]):
            if other not in ordered:
                add(other)
        ordered[name] = None

    for name in schemas:
        add(name)
    return list(ordered)


def references(schema: Any) -> Iterator[str]:
    """The names of the components that a schema refers to; the mapping of a discriminator repeats them."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield name_in(schema)
        for key, each in schema.items():
            if key != "discriminator":
                yield from references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from references(each)


def name_in(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def declaration(name: str, schemas: dict[str, Schema]) -> str:
    """A component as a class, or as a name for a union of classes."""
    schema = schemas[name]
    if "oneOf" in schema:
        union, discriminator = " | ".join(map(type_of, schema["oneOf"])), schema["discriminator"]["propertyName"]
        return f'{name} = Annotated[{union}, Field(discriminator="{discriminator}")]\n'
    title = [*docstring(schema.get("description", f"{name}.")), ""]
    if "enum" in schema:
        return class_of(f"{name}(ApiEnum)", [*title, *(f'{each.upper()} = "{each}"' for each in schema["enum"])])
    if "properties" not in schema:
        raise UnsupportedSchema(f"{name}: {schema}")
    required = schema.get("required", ())
    fields = [
        line
        for field, each in schema["properties"].items()
        for line in (member(field, each, field in required, schemas), *description_of(each))
    ]
    return class_of(f"{name}(ApiModel)", [*title, *fields])


def class_of(head: str, lines: Iterable[str]) -> str:
    return f"class {head}:\n" + textwrap.indent("\n".join(lines), "    ") + "\n"


def member(name: str, schema: Schema, required: bool, schemas: dict[str, Schema]) -> str:
    """A member of a model; if it is optional and has no default, it defaults to None."""
    annotation = type_of(schema)
    if required:
        return f"{name}: {annotation}"
    if "default" not in schema:
        return f"{name}: {annotation if annotation.endswith('None') else f'{annotation} | None'} = None"
    return f"{name}: {annotation} = {default(schema, schemas)}"


def default(schema: Schema, schemas: dict[str, Schema]) -> str:
    """A member's default as Python code; if it is a model, with the arguments that differ from its defaults."""
    value = schema["default"]
    if "$ref" not in schema:
        return repr(value)
    defaults = {name: each.get("default") for name, each in schemas[name_in(schema)]["properties"].items()}
    differing = {name: each for name, each in value.items() if each != defaults[name]}
    return f"{name_in(schema)}({', '.join(f'{name}={each!r}' for name, each in differing.items())})"


def type_of(schema: Schema) -> str:
    """The Python type of a member of a response."""
    if "$ref" in schema:
        return name_in(schema)
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    if "anyOf" in schema:
        return " | ".join(map(type_of, schema["anyOf"]))
    if schema.get("format") in DATES:
        return DATES[schema["format"]]
    if schema.get("type") == "array":
        return f"list[{type_of(schema['items'])}]"
    if schema.get("type") == "object":
        return f"dict[str, {type_of_values(schema)}]"
    if schema.get("type") in PLAIN:
        return PLAIN[schema["type"]]
    raise UnsupportedSchema(str(schema))


def type_of_values(schema: Schema) -> str:
    """The type of the values of an object, which may be described inline."""
    declared = [*schema.get("properties", {}).values(), *schema.get("patternProperties", {}).values()]
    values = declared or [schema.get("additionalProperties", True)]
    return " | ".join("Any" if each is True else type_of(each) for each in values)


def argument_type(schema: Schema) -> str:
    """The Python type of an argument: any sequence for a list, any mapping for a dictionary."""
    return type_of(schema).replace("list[", "Sequence[").replace("dict[", "Mapping[")


def description_of(schema: Schema) -> list[str]:
    """A member's description as a docstring below it."""
    return docstring(schema["description"]) if "description" in schema else []


def docstring(text: str) -> list[str]:
    """A docstring wrapped for the body of a class."""
    return textwrap.wrap(f'"""{text}"""', LINE_LENGTH - 4, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    main()
