"""Whatever is wrong with a field, the response says so in plain English, not in the words of Python's types."""

import math
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from cinemo_core.metrics.evaluate import Case
from cinemo_spec.training import TrainConfig
from cinemo_spec.wording import WORDS
from service.api.animate import AnimateFields
from service.api.edit import EditFields
from service.api.fields import validate
from service.api.train import TrainFields
from service.api.v1.translation import VideoFields
from service.contract.problems import InvalidInput
from service.contract.schemas.timestamps import Day, Timestamp
from service.contract.schemas.uploads import PresignRequest
from service.contract.schemas.webhooks import RedeliverRequest
from service.policy.decision import Decision
from service.store.tenants import Tenant
from tests.conftest import Api
from tests.jobs import JobStore, new_job

TYPED, TEXT = True, False
REQUESTS: list[tuple[type[BaseModel], bool]] = [
    (AnimateFields, TYPED),
    (AnimateFields, TEXT),
    (EditFields, TYPED),
    (EditFields, TEXT),
    (TrainFields, TYPED),
    (PresignRequest, TYPED),
    (VideoFields, TEXT),
    (RedeliverRequest, TEXT),
]
"""The models of all bodies, each as JSON or as a form."""
WRITTEN: list[tuple[type[BaseModel], bool]] = [
    (Tenant, TYPED),
    (Decision, TYPED),
    (Case, TEXT),
    (TrainConfig, TYPED),
]
"""Likewise of what operators, their policies and users of the library write."""
SCALARS: list[Any] = [
    None, True, 0, 5, -1, 3, 10**30, 0.0, 1.5, -5.0, 1.0, math.nan, math.inf, "", "x", "7", "y" * 999, "9" * 5000,
    "\ud800", "\0", "2026-01-01", "2026-13-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00",
]  # fmt: skip
VALUES = [
    *SCALARS,
    (),
    {},
    *((each,) for each in SCALARS),
    *({"x": each} for each in SCALARS),
    ({"model": "tiny"},) * 60,
    {"!": "x"},
]


def inner(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from inner(each)


def given(model: type[BaseModel], value: Any) -> Iterator[dict[str, Any]]:
    """Bodies with a value in one field of the model, or of a model in it."""
    for name, field in model.model_fields.items():
        yield {name: value}
        for each in inner(field.annotation):
            for body in given(each, value):
                yield from ({name: body}, {name: (body,)})


def kinds(model: type[BaseModel], typed: bool) -> set[str]:
    """The types of pydantic's errors that bodies of the model cause."""
    found: set[str] = set()
    for value in VALUES:
        for body in given(model, value):
            try:
                model.model_validate({**body, "colour": "red"}, strict=typed or None)
            except ValidationError as error:
                found |= {each["type"] for each in error.errors(include_url=False)}
    return found


def kinds_of_query() -> set[str]:
    """Likewise of the types that only query parameters have, which are always text."""
    found: set[str] = set()
    for kind in (Day, Timestamp):
        for value in SCALARS:
            try:
                TypeAdapter[Any](kind).validate_python(str(value))
            except ValidationError as error:
                found |= {each["type"] for each in error.errors(include_url=False)}
    return found


def kinds_of_text() -> set[str]:
    """Likewise of a text that is no JSON."""
    with pytest.raises(ValidationError) as refusal:
        Decision.model_validate_json("{")
    return {each["type"] for each in refusal.value.errors()}


def test_each_error_has_words_of_its_own() -> None:
    caused = kinds_of_query().union(*(kinds(*model) for model in (*REQUESTS, *WRITTEN)), kinds_of_text())
    assert caused - {"value_error"} == set(WORDS), "and none is worded in vain"


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({}, "#/prompt", "is required"),
        ({"colour": "red"}, "#/colour", "unknown field"),
        ({"prompt": " "}, "#/prompt", "must not be empty"),
        ({"webhook_events": "job.running"}, "#/webhook_events", "must be an array"),
        ({"metadata": []}, "#/metadata", "must be an object"),
        ({"metadata": {"order": 7}}, "#/metadata/order", "must be text"),
        ({"metadata": {"order": "x" * 501}}, "#/metadata/order", "must have at most 500 characters"),
        ({"metadata": {f"m{each}": "x" for each in range(51)}}, "#/metadata", "must have at most 50 members"),
        ({"adapters": ({"model": "waves"},) * 5}, "#/adapters", "must have at most 4 items"),
        ({"adapters": (7,)}, "#/adapters/0", "must be an object"),
        ({"adapters": ({"model": ""},)}, "#/adapters/0/model", "must have at least 1 character"),
        ({"adapters": ({"model": "waves", "weight": 3},)}, "#/adapters/0/weight", "must be at most 2"),
        ({"seed": 4294967296}, "#/seed", "must be at most 4294967295"),
        ({"seed": "7"}, "#/seed", "must be an integer"),
        ({"reuse": "yes"}, "#/reuse", "must be true or false"),
        ({"detail": "some"}, "#/detail", "must be 'photo' or 'off'"),
        ({"width": 333}, "#/width", "must be a multiple of 2"),
    ],
)
def test_an_error_names_what_is_allowed(fields: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        validate(AnimateFields, fields, TYPED)
    assert (pointer, words) in [(each.pointer, each.detail) for each in refusal.value.errors]


def test_the_parameters_of_a_query_are_worded_alike(api: Api) -> None:
    query = {"by": ["day"] * 5, "from": "2026-13-01", "to": "yesterday"}
    problem = httpx.get(f"{api.url}/usage", params=query).json()
    assert {each["pointer"]: each["detail"] for each in problem["errors"]} == {
        "#/by": "must have at most 4 items",
        "#/from": "must be a day, such as 2026-11-24",
        "#/to": "must be a day, such as 2026-11-24",
    }
    assert "from: must be a day, such as 2026-11-24" in problem["detail"].split("; ")


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("wait=soon", "wait: must be an integer"),
        ("wait=61", "wait: must be at most 60"),
        ("wait=1&wait=2", "wait: is given more than once"),
    ],
)
def test_the_detail_of_an_invalid_wait_says_what_is_wrong(api: Api, query: str, detail: str) -> None:
    JobStore(api.redis).submissions.create(new_job("job_waited_for"))
    assert httpx.get(f"{api.url}/jobs/job_waited_for?{query}").json()["detail"] == detail


@pytest.mark.parametrize("query", ["validate_only", "validate_only=", "validate_only=maybe"])
def test_the_detail_of_an_invalid_validate_only_says_what_is_wrong(api: Api, query: str) -> None:
    refused = httpx.post(f"{api.url}/animate?{query}", json={"prompt": "waves"})
    assert refused.json()["detail"] == "validate_only: must be true or false"
    assert api.queued() == 0


def test_the_detail_of_an_invalid_form_says_what_is_wrong(api: Api) -> None:
    parts = {"prompt": ("waves.txt", b"waves")}
    assert httpx.post(f"{api.url}/animate", files=parts).json()["detail"] == "prompt: must be text, not a file"
