"""Turns every error into an RFC 9457 `application/problem+json` response with the request's ID."""

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from cinemo_spec.wording import in_words
from service.api.fields import MAX_ERRORS, invalid_fields, pointer_to
from service.api.v1 import errors as v1
from service.contract.problems import (
    PROBLEM_TYPE,
    BodyTooSlow,
    FieldError,
    MalformedBody,
    Problem,
    QueueUnavailable,
    RangeUnsatisfiable,
    StorageUnavailable,
    TooMany,
    Unauthenticated,
)
from service.observability.metrics import UNAVAILABLE

log = structlog.get_logger()

UNAVAILABLE_PARTS: dict[type[Problem], str] = {QueueUnavailable: "redis", StorageUnavailable: "storage"}


def respond(request: Request, problem: Problem) -> JSONResponse:
    body = problem.body(request.state.request_id)
    headers: dict[str, str] = {}
    if v1.is_dialect(request.url.path):
        body |= v1.members(problem)
        headers |= v1.headers(problem)
    if problem.status == 503 or isinstance(problem, TooMany):
        headers["Retry-After"] = str(getattr(problem, "retry_after", 5))
    if isinstance(problem, BodyTooSlow):
        headers["Connection"] = "close"
    if isinstance(problem, RangeUnsatisfiable):
        headers["Content-Range"] = f"bytes */{problem.size_bytes}"
    if isinstance(problem, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, body["status"], headers, media_type=PROBLEM_TYPE)


def handle_errors(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> Response:
        if problem.status == 500:
            log.error("request failed", exc_info=problem)
        if part := UNAVAILABLE_PARTS.get(type(problem)):
            UNAVAILABLE.labels(part).inc()
        return respond(request, problem)

    @app.exception_handler(RequestValidationError)
    async def on_validation(request: Request, error: RequestValidationError) -> Response:
        errors = [FieldError(pointer_to(*each["loc"][1:]), in_words(each)) for each in error.errors()[:MAX_ERRORS]]
        return respond(request, invalid_fields(*errors))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:
            return respond(request, MalformedBody(str(error.detail)))
        problem = Problem(str(error.detail))
        problem.status, problem.title = error.status_code, str(error.detail)
        problem.code = "HTTP." + str(error.detail).upper().replace(" ", "_")
        response = respond(request, problem)
        if error.status_code == 405:
            response.headers["Allow"] = ", ".join(allowed_methods(request))
        return response


def allowed_methods(request: Request) -> list[str]:
    """Return the methods that a path supports; the framework knows only those of a single route."""

    def is_served(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    served = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if is_served(method)]
    # Every GET route also responds to HEAD.
    return [each for method in served for each in ((method, "HEAD") if method == "GET" else (method,))]
