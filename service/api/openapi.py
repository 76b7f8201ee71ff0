"""Completes the OpenAPI document beyond the routes' signatures, so that clients can be generated from it."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from service.api.clip_limits import describe_limits
from service.api.fields import without_null
from service.contract.failures import FAILURES, SCHEMA_KEY
from service.contract.problems import (
    PROBLEM_TYPE,
    BudgetSpent,
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    MalformedBody,
    ModelDeleted,
    ModelUnknown,
    Problem,
    QueueFull,
    QueueUnavailable,
    QuotaReached,
    RateLimited,
    RequestInFlight,
    ScopeMissing,
    StorageUnavailable,
    Unauthenticated,
)
from service.contract.schemas import problems as schemas
from service.contract.schemas.examples import COMPONENT_EXAMPLES, RESPONSE_EXAMPLES
from service.contract.schemas.training import describe_for_clients

Responses = dict[int | str, dict[str, Any]]

TAGS = [
    {"name": "animate", "description": "Turn a photo and a sentence into a video."},
    {"name": "edit", "description": "Apply a video's motion to another first frame."},
    {"name": "uploads", "description": "Upload files for use in jobs."},
    {"name": "train", "description": "Train a model on videos, for use with `POST /animate`."},
    {"name": "jobs", "description": "Get the status and events of jobs; cancel and rerun them."},
    {"name": "webhooks", "description": "Inspect webhook deliveries and resend them."},
    {"name": "models", "description": "Models that jobs can use."},
    {"name": "usage", "description": "What tenants have used."},
    {"name": "monitoring", "description": "For load balancers and monitoring."},
]

HEADERS = {
    "x-request-id": "The ID sent with the request, or a generated one; also in the logs.",
    "Location": "URL to poll the job.",
    "Retry-After": "Seconds to wait before retrying.",
    "ETag": "Changes with the job; send it back as `If-None-Match`.",
    "Preference-Applied": "Which part of `Prefer` was applied (RFC 7240).",
    "Idempotency-Replayed": "`true` if an earlier request with the same key created the job.",
    "RateLimit-Policy": "The tenant's limit: `q` requests in `w` seconds (draft-ietf-httpapi-ratelimit-headers).",
    "RateLimit": "The remaining quota: `r` requests now, all of them after `t` seconds.",
    "WWW-Authenticate": "How to authenticate.",
}
HEADERS_OF_STATUS = {
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
SUBMISSION_PROBLEMS = (
    ScopeMissing,
    RateLimited,
    QueueFull,
    QuotaReached,
    BudgetSpent,
    IdempotencyKeyReused,
    RequestInFlight,
    ModelUnknown,
    ModelDeleted,
    StorageUnavailable,
)
FRAMEWORK_DESCRIPTION = "Successful Response"
"""FastAPI's description of responses that have none."""
COMPONENT = "#/components/{}/{}"


def problems(*kinds: type[Problem]) -> Responses:
    """Return the responses for a route's problems, in addition to those that follow from its signature."""
    responses: Responses = {}
    for kind in kinds:
        content = {"schema": {"$ref": COMPONENT.format("schemas", "Problem")}, "examples": {}}
        response = responses.setdefault(kind.status, {"description": "", "content": {PROBLEM_TYPE: content}})
        example = kind.__new__(kind)
        example.detail, example.errors = kind.title, []
        response["content"][PROBLEM_TYPE]["examples"][kind.code] = {
            "description": kind.remedy,
            "value": example.body("order-4711"),
        }
    return responses


def headers(*names: str) -> dict[str, Any]:
    """Declare headers of a response."""
    return {"headers": {name: {"$ref": COMPONENT.format("headers", name)} for name in names}}


def job_responses(validation: Any, *more: type[Problem]) -> Responses:
    """Return the responses of a route that creates a job: the job, the problems of all such routes, and its own.

    `validation` is the model of its response with `validate_only`.
    """
    response_headers = headers(
        "Location", "Retry-After", "Preference-Applied", "Idempotency-Replayed", "RateLimit-Policy", "RateLimit"
    )
    validated = {
        "model": validation,
        "description": "With `validate_only`: the request as it would be accepted.",
        **headers("RateLimit-Policy", "RateLimit"),
    }
    return {
        200: validated,
        202: {"description": "The queued job.", **response_headers},
        **problems(*SUBMISSION_PROBLEMS, *more),
    }


def operation_id(route: APIRoute) -> str:
    """Use the route's function name as the operation ID."""
    return route.name


def complete_document(app: FastAPI) -> None:
    """Make the app complete its document when it is first requested."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            add_components(schema)
            for fields in clip_fields(schema):
                describe_limits(fields, app.state.context.settings)
            for path in schema["paths"].values():
                for operation in path.values():
                    complete_operation(operation)
            for path in schema["webhooks"].values():
                # Any 2xx counts, and the rest of the response is ignored.
                path["post"]["responses"] = {"2XX": {"description": "Delivered; not sent again."}}
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def clip_fields(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of requests that make clips, of each kind of body."""
    return [
        content["schema"]["properties"]
        for path in ("/animate", "/edit")
        for content in schema["paths"][path]["post"]["requestBody"]["content"].values()
    ]


def add_components(schema: dict[str, Any]) -> None:
    """Add the components that operations share."""
    components = schema["components"]
    template = COMPONENT.format("schemas", "{model}")
    _, shared = models_json_schema([(schemas.Problem, "validation")], ref_template=template)
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["schemas"] = dict(sorted({**components["schemas"], **shared["$defs"]}.items()))
    for name, examples in COMPONENT_EXAMPLES.items():
        components["schemas"][name]["examples"] = examples
    components["schemas"]["JobError"]["properties"]["code"][SCHEMA_KEY] = {
        code: {"meaning": each.meaning, "remedy": each.remedy, "retryable": each.retryable}
        for code, each in FAILURES.items()
    }
    describe_for_clients(*(components["schemas"][name]["properties"] for name in ("TrainConfig", "DataConfig")))
    # For the download URLs of a service without a bucket, which are not operations of their own.
    forbidden = problems(Forbidden)[Forbidden.status]
    complete_response(str(Forbidden.status), forbidden, None)
    components["responses"] = {"DownloadRefused": forbidden}
    components["headers"] = {
        name: {"description": description, "schema": {"type": "string"}} for name, description in HEADERS.items()
    }


def complete_operation(operation: dict[str, Any]) -> None:
    """Add the problems that follow from an operation's signature, and the headers that follow from a status."""
    implied: list[type[Problem]] = [Problem]
    if "security" in operation:
        implied += [Unauthenticated, RateLimited, QueueUnavailable]
    responses = operation["responses"]
    if "parameters" in operation or "requestBody" in operation:
        implied.append(InvalidInput)
        if "application/json" in responses.get("422", {}).get("content", {}):
            del responses["422"]
    if "requestBody" in operation:
        implied.append(MalformedBody)
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = without_null(parameter["schema"])
    for status, response in problems(*implied).items():
        content = responses.setdefault(str(status), response)["content"][PROBLEM_TYPE]
        content["examples"] |= response["content"][PROBLEM_TYPE]["examples"]
    for status, response in responses.items():
        complete_response(status, response, RESPONSE_EXAMPLES.get(operation["operationId"]))
    operation["responses"] = dict(sorted(responses.items()))


def complete_response(status: str, response: dict[str, Any], example: Any) -> None:
    """Add the description, the example and the headers of a response, where the route has none."""
    contents = response.get("content", {})
    if example is not None and "application/json" in contents:
        contents["application/json"]["example"] = example
    if response["description"] == FRAMEWORK_DESCRIPTION:
        response["description"] = f"{HTTPStatus(int(status)).phrase}."
    named = contents.get(PROBLEM_TYPE, {}).get("examples", {})
    if named:
        response["description"] = "\n".join(f"- `{code}`: {each['value']['title']}" for code, each in named.items())
    implied = headers("x-request-id", *HEADERS_OF_STATUS.get(status, ()))["headers"]
    response["headers"] = {**response.get("headers", {}), **implied}
