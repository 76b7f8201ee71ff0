"""The API conforms to its OpenAPI document: schemathesis sends it valid and invalid requests."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
)

from cinemo_client import Client
from service.openapi import document
from service.store.tenants import Scope, TenantStore
from tests.conftest import api_running

EXAMPLES = settings(max_examples=5, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
# A picture that is one, a dataset that is there, exactly one of several fields, a period that ends after it begins: no
# schema says so.
BEYOND_THE_SCHEMA = ["animate", "edit", "train", "upload", "presign", "rerun_job", "get_usage"]

schema = schemathesis.openapi.from_dict(document())
within, beyond = schema.exclude(operation_id=BEYOND_THE_SCHEMA), schema.include(operation_id=BEYOND_THE_SCHEMA)
of_jobs = schema.include(path_regex="job_id")


@pytest.fixture(scope="module")
def guarded(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """An API that requires keys, and a key with all scopes."""
    with api_running(tmp_path_factory.mktemp("guarded"), redis_port, {"CINEMO_AUTH": "keys"}) as api:
        _, key = TenantStore(api.redis).create_key("schema", frozenset([Scope.ADMIN]))
        yield api.url, key


@pytest.fixture
def ended_job(guarded: tuple[str, str], photo: bytes) -> str:
    """An ended job of the caller."""
    with Client(*guarded) as client:
        handle = client.animate(photo, "waves")
        handle.cancel()
    return handle.id


def check(case: schemathesis.Case[Any], guarded: tuple[str, str], *excluded: schemathesis.CheckFunction) -> None:
    url, key = guarded
    headers = {"Authorization": f"Bearer {key}"}
    case.call_and_validate(base_url=url, headers=headers, timeout=60, excluded_checks=list(excluded))


@within.parametrize()
@EXAMPLES
def test_any_request_gets_a_documented_response(case: schemathesis.Case[Any], guarded: tuple[str, str]) -> None:
    check(case, guarded)


@beyond.parametrize()
@EXAMPLES
def test_rejections_of_requests_that_match_the_document_are_documented_too(
    case: schemathesis.Case[Any], guarded: tuple[str, str]
) -> None:
    check(case, guarded, positive_data_acceptance)


@of_jobs.parametrize()
@EXAMPLES
def test_requests_about_an_existing_job_get_documented_responses(
    case: schemathesis.Case[Any], guarded: tuple[str, str], ended_job: str
) -> None:
    case.path_parameters["job_id"] = ended_job
    # The id that was put in is good, whatever schemathesis believes of the one that it had made.
    check(case, guarded, positive_data_acceptance, negative_data_rejection)


def test_requests_for_an_event_stream_get_documented_responses(guarded: tuple[str, str], ended_job: str) -> None:
    operation = schema["/jobs/{job_id}/events"]["GET"]
    case = operation.Case(path_parameters={"job_id": ended_job}, headers={"Accept": "text/event-stream"})
    # To OpenAPI 3.1 the body is text; schemathesis would hold its schema against each event.
    check(case, guarded, response_schema_conformance)


def test_the_api_serves_the_document_with_its_own_url(guarded: tuple[str, str]) -> None:
    served = httpx.get(f"{guarded[0]}/openapi.json").json()
    assert served == {**schema.raw_schema, "servers": [{"url": guarded[0]}]}
