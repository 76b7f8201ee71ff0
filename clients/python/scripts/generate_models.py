"""Generates the client's models, parameters and tool arguments from the service's OpenAPI document, or says which are
stale.

It knows the kinds of schema that the document has, and refuses any other rather than misread it.
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

CLIENT = Path(__file__).parents[1]
DOCUMENT = CLIENT.parents[1] / "docs" / "openapi.json"
PACKAGE = CLIENT / "src" / "cinemo_client"
LINE_LENGTH = 120

Schema = dict[str, Any]

MODELS = '''"""What the API returns and accepts. Generated from `docs/openapi.json` by `make generate`: do not edit.

The service checks limits, which depend on its settings. Fields that a newer service adds are kept.
"""

from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ApiModel(BaseModel):
    """Base of all models."""

    model_config = ConfigDict(extra="allow")


class ApiEnum(str, Enum):
    """Base of all enumerations; members are strings."""

    def __str__(self) -> str:
        return str(self.value)
'''

PARAMETERS = '''"""What a job can be given, as keyword arguments that editors and type checkers know.

Generated from `docs/openapi.json` by `make generate`: do not edit.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict
'''

APART = {
    "animate": {"prompt", "image_base64", "image_url", "upload_id"},
    "edit": {"video_upload_id", "image_base64", "image_url", "upload_id"},
}
"""Fields of a request that its method takes as arguments of their own."""
NOT_FOR_AGENTS = {"webhook_url", "webhook_events", "preview"} | set().union(*APART.values()) - {"prompt"}
"""Fields that agents have no use for, or that their tools describe in other words."""
FOR_AGENTS = {"`GET /models`": "`models`"}
"""Words of descriptions, and what agents know it by."""

DATES = {"date-time": "datetime", "date": "date"}
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class SchemaUnknown(Exception):
    """The document has a schema of a shape that is not known here."""


def main() -> None:
    """Write the files, or with `--check` exit with 1 if they are stale."""
    parser = argparse.ArgumentParser(description="Generate the client's models from docs/openapi.json.")
    parser.add_argument("--check", action="store_true", help="only report what is stale")
    check: bool = parser.parse_args().check
    document = json.loads(DOCUMENT.read_text())
    made = {
        PACKAGE / "models.py": models(document),
        PACKAGE / "parameters.py": parameters(document),
        PACKAGE / "mcp" / "arguments.json": arguments(document),
    }
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if check and stale:
        sys.exit(f"stale: {', '.join(path.name for path in stale)}; run `make generate`")
    for path in stale:
        path.write_text(made[path])


def models(document: Schema) -> str:
    """The module of all components, each after those that it is made of."""
    schemas: dict[str, Schema] = document["components"]["schemas"]
    return formatted("\n\n".join([MODELS, *(declared(name, schemas) for name in in_order(schemas))]))


def parameters(document: Schema) -> str:
    """The module of the keyword arguments of `animate` and `edit`."""
    made = [PARAMETERS]
    for operation, apart in APART.items():
        fields = [
            line
            for name, schema in body_of(document, operation)["properties"].items()
            if name not in apart
            for line in (f"{name}: {taken(schema)}", *documented(schema))
        ]
        title = f'"""Fields of `POST /{operation}`."""'
        made.append(class_of(f"{operation.title()}Parameters(TypedDict, total=False)", [title, "", *fields]))
    return formatted("\n\n".join(made))


def body_of(document: Schema, operation: str) -> Schema:
    """The schema of an operation's JSON body."""
    content = document["paths"][f"/{operation}"]["post"]["requestBody"]["content"]
    schema: Schema = content["application/json"]["schema"]
    return schema


def arguments(document: Schema) -> str:
    """The JSON Schema of what the tools of agents pass on to `animate` and `edit`."""
    made = {}
    for operation in APART:
        body = body_of(document, operation)
        fields = {name: argument(schema) for name, schema in body["properties"].items() if name not in NOT_FOR_AGENTS}
        made[operation] = {"properties": fields, **({"required": body["required"]} if body.get("required") else {})}
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def argument(schema: Schema) -> Schema:
    """A field for a model to fill in: without titles, forms and null, as it may leave out what it doesn't know."""
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
        for word, known in FOR_AGENTS.items():
            text = text.replace(word, known)
        kept["description"] = text
    return kept


def formatted(text: str) -> str:
    """The text as `ruff format` has it, by the settings of the client."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PACKAGE / "made.py"), "-"]
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


def in_order(schemas: dict[str, Schema]) -> list[str]:
    """The names of the components, each after those that it refers to."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        for needed in referred(schemas[name]):
            if needed not in ordered:
                add(needed)
        ordered[name] = None

    for name in schemas:
        add(name)
    return list(ordered)


def referred(schema: Any) -> Iterator[str]:
    """The names of the components that a schema refers to; the mapping of a discriminator repeats them."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield name_in(schema)
        for key, each in schema.items():
            if key != "discriminator":
                yield from referred(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from referred(each)


def name_in(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def declared(name: str, schemas: dict[str, Schema]) -> str:
    """A component as a class, or a union of such as a name."""
    schema = schemas[name]
    if "oneOf" in schema:
        union, told_by = " | ".join(map(kind, schema["oneOf"])), schema["discriminator"]["propertyName"]
        return f'{name} = Annotated[{union}, Field(discriminator="{told_by}")]\n'
    title = [*docstring(schema.get("description", f"{name}.")), ""]
    if "enum" in schema:
        return class_of(f"{name}(ApiEnum)", [*title, *(f'{each.upper()} = "{each}"' for each in schema["enum"])])
    if "properties" not in schema:
        raise SchemaUnknown(f"{name}: {schema}")
    required = schema.get("required", ())
    fields = [
        line
        for field, each in schema["properties"].items()
        for line in (member(field, each, field in required, schemas), *documented(each))
    ]
    return class_of(f"{name}(ApiModel)", [*title, *fields])


def class_of(head: str, lines: Iterable[str]) -> str:
    return f"class {head}:\n" + textwrap.indent("\n".join(lines), "    ") + "\n"


def member(name: str, schema: Schema, required: bool, schemas: dict[str, Schema]) -> str:
    """A member of a model; one that may be missing and has no default is None then."""
    written = kind(schema)
    if required:
        return f"{name}: {written}"
    if "default" not in schema:
        return f"{name}: {written if written.endswith('None') else f'{written} | None'} = None"
    return f"{name}: {written} = {default(schema, schemas)}"


def default(schema: Schema, schemas: dict[str, Schema]) -> str:
    """The default of a member as Python, of a model as one of whose members it names those that differ."""
    given = schema["default"]
    if "$ref" not in schema:
        return repr(given)
    usual = {name: each.get("default") for name, each in schemas[name_in(schema)]["properties"].items()}
    differing = {name: value for name, value in given.items() if value != usual[name]}
    return f"{name_in(schema)}({', '.join(f'{name}={value!r}' for name, value in differing.items())})"


def kind(schema: Schema) -> str:
    """The type of what the service answers."""
    if "$ref" in schema:
        return name_in(schema)
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    if "anyOf" in schema:
        return " | ".join(map(kind, schema["anyOf"]))
    if schema.get("format") in DATES:
        return DATES[schema["format"]]
    if schema.get("type") == "array":
        return f"list[{kind(schema['items'])}]"
    if schema.get("type") == "object":
        return f"dict[str, {kind_of_values(schema)}]"
    if schema.get("type") in PLAIN:
        return PLAIN[schema["type"]]
    raise SchemaUnknown(str(schema))


def kind_of_values(schema: Schema) -> str:
    """The type of any member; of an object that is described in place, of those that it may have."""
    named = [*schema.get("properties", {}).values(), *schema.get("patternProperties", {}).values()]
    values = named or [schema.get("additionalProperties", True)]
    return " | ".join("Any" if each is True else kind(each) for each in values)


def taken(schema: Schema) -> str:
    """The type of what a caller gives: any sequence for a list, any mapping for a dictionary."""
    return kind(schema).replace("list[", "Sequence[").replace("dict[", "Mapping[")


def documented(schema: Schema) -> list[str]:
    """What a member means, as a text below it."""
    return docstring(schema["description"]) if "description" in schema else []


def docstring(text: str) -> list[str]:
    """A docstring that fits into lines inside of a class."""
    return textwrap.wrap(f'"""{text}"""', LINE_LENGTH - 4, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    main()
