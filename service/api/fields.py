"""From the fields of a body to a request: what is wrong is named by JSON pointers, what is missing gets its default."""

from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from service.contract.problems import FieldError, InvalidInput

MAX_ERRORS = 50
MAX_NAME = 100
MAX_MEMBERS = 200
"""Of an object or an array in a field: no field has so many, and each would be looked at."""

Model = TypeVar("Model", bound=BaseModel)


def pointer_to(*names: str | int) -> str:
    """A JSON pointer in fragment form (RFC 6901, section 6); names that nobody would give are cut short."""
    escaped = (str(name)[:MAX_NAME].replace("~", "~0").replace("/", "~1") for name in names)
    return "#" + "".join("/" + quote(each, safe="~!$&'()*+,;=:@-._", errors="replace") for each in escaped)


def validate(model: type[Model], fields: dict[str, Any], typed: bool) -> Model:
    """The fields as a model; raises `InvalidInput` with a pointer to each that is wrong.

    Args:
        model: what they are to be.
        fields: by name.
        typed: whether values must have the right types already; else text is read as what it should be.
    """
    fields = few(model, fields)
    try:
        return model.model_validate(fields, strict=typed or None)
    except ValidationError as error:
        raise invalid(error) from error


def few(model: type[BaseModel], fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that are known, and of others as many as are told, so that work is bounded however many there are.

    Raises:
        InvalidInput: a field has far more members than any may have.
    """
    known = {name: fields[name] for name in model.model_fields if name in fields}
    endless = [
        FieldError(pointer_to(name), f"has {len(value):,} members; at most {MAX_MEMBERS} are looked at")
        for name, value in known.items()
        if isinstance(value, dict | list | tuple) and len(value) > MAX_MEMBERS
    ]
    if endless:
        raise wrong(*endless)
    unknown = islice((name for name in fields if name not in known), MAX_ERRORS)
    return known | {name: fields[name] for name in unknown}


def part_of(fields: BaseModel, model: type[Model]) -> Model:
    """One of the models that `fields` has the fields of."""
    return model.model_construct(**{name: getattr(fields, name) for name in model.model_fields})


def invalid(error: ValidationError) -> InvalidInput:
    """The problem of fields that are wrong, with a pointer to each."""
    told = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
    return wrong(*(FieldError(pointer_to(*each["loc"]), each["msg"]) for each in told))


def wrong(*errors: FieldError) -> InvalidInput:
    """The problem of some fields."""
    return InvalidInput("; ".join(f"{each.pointer[2:]}: {each.detail}" for each in errors), list(errors))


def request_schema(*models: type[BaseModel], **more: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with the fields of some models and more of them; nothing is referred to, all is in it."""
    required: list[str] = []
    properties: dict[str, Any] = dict(more)
    for model in models:
        schema = model.model_json_schema()
        properties |= inlined(schema["properties"], schema.get("$defs", {}))
        required += schema.get("required", [])
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def contents(schema: dict[str, Any], in_form: dict[str, Any], in_json: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI content of a body that may be a form or JSON, with an example of each; files come in forms alone."""
    typed = {name: each for name, each in schema["properties"].items() if each.get("format") != "binary"}
    texts = {name: without_null(each) for name, each in schema["properties"].items()}
    form = {**schema, "properties": texts}
    return {
        "multipart/form-data": {"schema": form, "example": in_form, "encoding": encoding(form)},
        "application/json": {"schema": {**schema, "properties": typed}, "example": in_json},
    }


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter or a form's field that may be left out: no text is null."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**kinds[0], **rest} if len(kinds) == 1 else schema


def encoding(schema: dict[str, Any]) -> dict[str, Any]:
    """How a form's fields are written that are no text, number or file."""
    return {
        name: {"contentType": "application/json"}
        for name, each in schema["properties"].items()
        if each.get("type") in ("array", "object")
    }


def inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with what it refers to in place of the references."""
    if isinstance(schema, list):
        return [inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    own = {name: inlined(each, definitions) for name, each in schema.items() if name != "$ref"}
    if "$ref" not in schema:
        return own
    return {**inlined(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions), **own}
