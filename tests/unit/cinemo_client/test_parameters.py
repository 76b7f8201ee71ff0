"""The client's keyword arguments are the fields that the service accepts."""

from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel, TypeAdapter

from cinemo_client.parameters import AnimateParameters, EditParameters
from service.contract.requests import AnimateRequest, EditRequest, JobOptions

BY_NAME = {"prompt"}
"""Given to `animate` as an argument of its own."""


@pytest.mark.parametrize(
    ("parameters", "request_model", "apart"),
    [(AnimateParameters, AnimateRequest, BY_NAME), (EditParameters, EditRequest, set())],
)
def test_the_parameters_are_exactly_the_fields_of_a_request(
    parameters: type[Any], request_model: type[BaseModel], apart: set[str]
) -> None:
    fields = {*request_model.model_fields, *JobOptions.model_fields} - apart
    assert set(get_type_hints(parameters)) == fields


@pytest.mark.parametrize(
    ("parameters", "request_model"), [(AnimateParameters, AnimateRequest), (EditParameters, EditRequest)]
)
def test_each_parameter_has_the_type_of_its_field(parameters: type[Any], request_model: type[BaseModel]) -> None:
    hints = get_type_hints(parameters)
    for model in (request_model, JobOptions):
        for name, field in model.model_fields.items():
            if name in hints:
                assert kinds(hints[name]) == kinds(field.annotation), name


def kinds(annotation: Any) -> set[str]:
    """The possible JSON types of a value, and its values if they are listed."""
    schema = TypeAdapter(annotation).json_schema()
    return {str(each.get("enum") or each["type"]) for each in schema.get("anyOf", [schema])}
