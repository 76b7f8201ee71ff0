"""Validates a body's fields, with a JSON pointer for each error, and generates the schemas of bodies."""

from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from cinemo_spec.wording import in_words
from service.contract.problems import FieldError, InvalidInput

MAX_ERRORS = 50
MAX_NAME = 100
"""Characters of a name in an error."""
MAX_MEMBERS = 200
"""Maximum members of a field's objects and arrays at all depths: more than any field accepts, but quick to validate."""

Model = TypeVar("Model", bound=BaseModel)


def pointer_to(*names: str | int) -> str:
    """Return a JSON pointer in fragment form (RFC 6901, section 6); overlong names are truncated."""
    escaped = (str(name)[:MAX_NAME].replace("~", "~0").replace("/", "~1") for name in names)
    return "#" + "".join("/" + quote(each, safe="~!$&'()*+,;=:@-._", errors="replace") for each in escaped)


def validate(model: type[Model], fields: dict[str, Any], typed: bool) -> Model:
    """Validate fields; raises `InvalidInput` with a pointer to each invalid one.

    Args:
        model: the model to create.
        fields: values by name.
        typed: whether values must have the right types; if not, text is converted.
    """
    fields = bounded(model, fields)
    try:
        return model.model_validate(fields, strict=typed or None)
    except ValidationError as error:
        raise from_pydantic(error) from error


def bounded(model: type[BaseModel], fields: dict[str, Any]) -> dict[str, Any]:
    """Drop unknown fields beyond those that would be reported, so that the work to validate is bounded.

    Raises:
        InvalidInput: a field has too many members.
    """
    known = {name: fields[name] for name in model.model_fields if name in fields}
    too_long = [
        FieldError(pointer_to(name), f"has more than {MAX_MEMBERS} members")
        for name, value in known.items()
        if has_too_many_members(value)
    ]
    if too_long:
        raise invalid_fields(*too_long)
    unknown = islice((name for name in fields if name not in known), MAX_ERRORS)
    return known | {name: fields[name] for name in unknown}


def has_too_many_members(value: Any) -> bool:
    """Whether objects and arrays, one inside another, have more than `MAX_MEMBERS` members together."""
    count, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list | tuple):
            count += len(each)
            if count > MAX_MEMBERS:
                return True
            waiting.extend(each.values() if isinstance(each, dict) else each)
    return False


def part_of(fields: BaseModel, model: type[Model], /, **instead: Any) -> Model:
    """Return one of the models whose fields `fields` combines, with some values `instead` of theirs."""
    return model.model_construct(**{name: getattr(fields, name) for name in model.model_fields} | instead)


def from_pydantic(error: ValidationError) -> InvalidInput:
    """Convert pydantic's error, with a pointer to each invalid field."""
    errors = error.errors(include_url=False)[:MAX_ERRORS]
    return invalid_fields(*(FieldError(pointer_to(*each["loc"]), in_words(each)) for each in errors))


def invalid_fields(*errors: FieldError) -> InvalidInput:
    """Create the problem of some invalid fields."""
    return InvalidInput(in_one_line(*errors), list(errors))


def in_one_line(*errors: FieldError) -> str:
    """Return each field with what is wrong with it; of the body as a whole, only that."""
    fields = ((each.pointer.removeprefix("#").removeprefix("/"), each.detail) for each in errors)
    return "; ".join(f"{field}: {detail}" if field else detail for field, detail in fields)


def request_schema(*models: type[BaseModel], **more: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with the fields of some models, and more; it is self-contained."""
    required: list[str] = []
    properties: dict[str, Any] = dict(more)
    for model in models:
        schema = model.model_json_schema()
        properties |= inlined(schema["properties"], schema.get("$defs", {}))
        required += schema.get("required", [])
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def contents(schema: dict[str, Any], form_example: dict[str, Any], json_example: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI content of a body that may be a form or JSON, with examples; only forms have files."""
    json_properties = {name: each for name, each in schema["properties"].items() if each.get("format") != "binary"}
    form_properties = {name: without_null(each) for name, each in schema["properties"].items()}
    form = {**schema, "properties": form_properties}
    return {
        "multipart/form-data": {"schema": form, "example": form_example, "encoding": encoding(form)},
        "application/json": {"schema": {**schema, "properties": json_properties}, "example": json_example},
    }


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional parameter or form field without null, which text can't express."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**kinds[0], **rest} if len(kinds) == 1 else schema


def encoding(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI encoding of the form fields that are objects or arrays."""
    return {
        name: {"contentType": "application/json"}
        for name, each in schema["properties"].items()
        if each.get("type") in ("array", "object")
    }


def inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Replace references in a schema with their definitions."""
    if isinstance(schema, list):
        return [inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    own = {name: inlined(each, definitions) for name, each in schema.items() if name != "$ref"}
    if "$ref" not in schema:
        return own
    return {**inlined(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions), **own}
