"""The OpenAPI document is complete enough to generate clients."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.api.app import create_app
from service.contract import problems
from service.contract.schemas.problems import Problem
from service.contract.settings import MEBIBYTE, Settings
from service.openapi import DOCUMENT_PATH, PAGE_PATH, document, page_text

DOCUMENT = document()
# Raised below the API and turned into something else, told of a job instead of an answer, or of signed URLs alone, or
# before there is a request, or of browsers alone.
NEVER_ANSWERED = {
    "STORAGE.OBJECT_NOT_FOUND",
    "URL.INVALID",
    "RANGE.MALFORMED",
    "RANGE.UNSATISFIABLE",
    "REQUEST.MALFORMED",
    "REQUEST.HEAD_TOO_LARGE",
    "REQUEST.HEAD_TOO_SLOW",
    "REQUEST.HOST_UNKNOWN",
    "REQUEST.CROSS_SITE",
}


def operations() -> list[Any]:
    return [
        pytest.param(operation, id=operation["operationId"])
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
    ]


def contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All contents of requests and responses."""
    yield from operation.get("requestBody", {}).get("content", {}).values()
    for response in operation["responses"].values():
        yield from response.get("content", {}).values()


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def examples(content: dict[str, Any]) -> list[Any]:
    """The examples of a body: its own, its schema's, or those of the schema's alternatives."""
    if "example" in content:
        return [content["example"]]
    if "examples" in content:
        return [each["value"] for each in content["examples"].values()]
    schema = resolved(content["schema"])
    alternatives = [resolved(each) for each in (*schema.get("oneOf", ()), *schema.get("anyOf", ()))]
    return [example for each in (content["schema"], schema, *alternatives) for example in each.get("examples", ())]


def test_the_committed_document_is_that_of_the_code() -> None:
    assert json.loads(DOCUMENT_PATH.read_text()) == DOCUMENT, "docs/openapi.json is stale: run `make generate`"


def test_the_committed_page_is_that_of_the_code() -> None:
    assert PAGE_PATH.read_text() == page_text(), "docs/api.md is stale: run `make generate`"


def test_it_is_valid_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_operation_ids_are_snake_case_and_each_operation_has_its_own() -> None:
    ids = [each.values[0]["operationId"] for each in operations()]
    assert len(ids) == len(set(ids))
    assert all(each.isidentifier() and each == each.lower() for each in ids)
    assert {"animate", "train", "get_job", "list_jobs", "cancel_job", "rerun_job", "get_events"} <= set(ids)


@pytest.mark.parametrize("operation", operations())
def test_an_operation_has_a_summary_a_description_and_tags(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}


def test_a_response_without_a_description_gets_that_of_its_status() -> None:
    paths = DOCUMENT["paths"]
    assert paths["/jobs"]["get"]["responses"]["200"]["description"] == "OK."
    assert paths["/uploads"]["post"]["responses"]["201"]["description"] == "Created."
    assert paths["/jobs/{job_id}/preview"]["get"]["responses"]["200"]["description"] == "An animated WebP."


@pytest.mark.parametrize("operation", operations())
def test_every_body_of_an_operation_has_an_example_that_fits_its_schema(operation: dict[str, Any]) -> None:
    for content in contents(operation):
        assert examples(content), content
        validator = OAS31Validator({**content["schema"], "components": DOCUMENT["components"]})
        for example in examples(content):
            validator.validate(example)


@pytest.mark.parametrize("operation", operations())
def test_an_operation_documents_the_errors_that_follow_from_its_signature(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    assert "INTERNAL.ERROR" in codes(operation)
    if "security" in operation:
        assert {"AUTH.KEY_INVALID", "QUEUE.UNAVAILABLE"} <= codes(operation)
    if "parameters" in operation or "requestBody" in operation:
        assert "INPUT.INVALID" in codes(operation)
    assert all("x-request-id" in response["headers"] for response in responses.values())
    assert all("Retry-After" in responses[each]["headers"] for each in ("429", "503") if each in responses)


def codes(operation: dict[str, Any]) -> set[str]:
    """The codes of an operation's problems."""
    found: set[str] = set()
    for status, response in operation["responses"].items():
        for code, example in response.get("content", {}).get(problems.PROBLEM_TYPE, {}).get("examples", {}).items():
            assert example["value"]["code"] == code
            assert example["value"]["status"] == int(status)
            found.add(code)
    return found


def leaves(kind: type[problems.Problem]) -> Iterator[type[problems.Problem]]:
    for below in kind.__subclasses__():
        yield from leaves(below)
    if not kind.__subclasses__():
        yield kind


def test_every_problem_is_documented_for_some_operation() -> None:
    documented = set().union(*(codes(each.values[0]) for each in operations()))
    declared = {kind.code for kind in leaves(problems.Problem) if kind.__module__ == problems.__name__}
    assert declared - documented == NEVER_ANSWERED


def test_every_problem_has_a_remedy() -> None:
    kinds = [kind for kind in leaves(problems.Problem) if kind.__module__ == problems.__name__]
    assert [kind.code for kind in kinds if kind.remedy == problems.Problem.remedy] == []


def test_an_operation_states_the_scope_that_it_requires() -> None:
    asked = {each.values[0]["operationId"]: each.values[0].get("security") for each in operations()}
    assert asked["animate"] == asked["edit"] == asked["upload"] == [{"ApiKey": ["animate"]}]
    assert asked["train"] == asked["delete_model"] == [{"ApiKey": ["train"]}]
    assert asked["list_jobs"] == [{"ApiKey": []}]
    assert asked["healthz"] is asked["metrics"] is None


def test_parameters_may_be_omitted_but_never_null() -> None:
    parameters = [each for operation in operations() for each in operation.values[0].get("parameters", ())]
    assert {each["name"] for each in parameters} >= {"wait", "cursor", "idempotency-key", "cancel-after"}
    assert not [each["name"] for each in parameters if "null" in json.dumps(each["schema"])]


def test_form_fields_may_be_omitted_but_never_null() -> None:
    bodies = [operation.values[0].get("requestBody", {"content": {}}) for operation in operations()]
    forms = [body["content"]["multipart/form-data"] for body in bodies if "multipart/form-data" in body["content"]]
    assert len(forms) == 3
    assert '"null"' not in json.dumps([form["schema"] for form in forms])


def test_all_problems_match_one_component() -> None:
    problem = problems.InvalidInput("prompt: must not be empty", [problems.FieldError("#/prompt", "must not be empty")])
    assert Problem.model_validate(problem.body("order-4711"), extra="forbid").errors[0].pointer == "#/prompt"
    for operation in operations():
        for response in operation.values[0]["responses"].values():
            content = response.get("content", {}).get(problems.PROBLEM_TYPE)
            assert content is None or content["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_webhooks_are_documented() -> None:
    operation = DOCUMENT["webhooks"]["job"]["post"]
    assert list(operation["responses"]) == ["2XX"]
    [content] = operation["requestBody"]["content"].values()
    validator = OAS31Validator({**content["schema"], "components": DOCUMENT["components"]})
    for example in examples(content):
        validator.validate(example)


def test_jobs_are_distinguished_by_their_kind() -> None:
    job = DOCUMENT["components"]["schemas"]["Job"]
    assert job["discriminator"]["propertyName"] == "kind"
    assert set(job["discriminator"]["mapping"].values()) == {each["$ref"] for each in job["oneOf"]}
    accepted = DOCUMENT["paths"]["/animate"]["post"]["responses"]["202"]
    assert accepted["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/AnimateJob"}
    assert {"Location", "RateLimit"} <= set(accepted["headers"])


def test_the_document_has_the_limits_in_the_processes_settings() -> None:
    limits = {
        "max_image_bytes": 3 * MEBIBYTE,
        "max_image_pixels": 12_345,
        "max_image_side": 456,
        "max_video_bytes": 4711,
        "max_video_pixels": 23_456,
        "max_frames": 57,
        "max_output_pixels": 34_567,
        "max_total_pixels": 45_678_901,
        "max_model_pixels": 5_678,
        "max_num_inference_steps": 9,
    }
    settings = Settings.model_validate({"storage_url": "s3://videos", "auth": "keys", **limits})
    paths = create_app(settings).openapi()["paths"]
    for path in ("/animate", "/edit"):
        form = paths[path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
        reported = " ".join(each["description"] for each in form.values())
        names = ["3 MiB", "12,345", "456 a side", "57", "34,567", "45,678,901", "5,678"]
        names += ["4,711 bytes", "23,456"] if path == "/edit" else []
        assert [name for name in names if name not in reported] == []
        assert form["num_inference_steps"]["maximum"] == 9
