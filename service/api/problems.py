"""Every error leaves as RFC 9457 `application/problem+json`, with the request's id."""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.api.fields import pointer_to
from service.errors import PROBLEM_TYPE, BodyTooSlow, FieldError, InvalidInput, Problem, TooMany, Unauthenticated


def respond(request: Request, problem: Problem) -> JSONResponse:
    body = problem.body(request.state.request_id)
    headers = {}
    if problem.status == 503 or isinstance(problem, TooMany):
        headers["Retry-After"] = str(getattr(problem, "retry_after", 5))
    if isinstance(problem, BodyTooSlow):
        headers["Connection"] = "close"
    if isinstance(problem, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, problem.status, headers, media_type=PROBLEM_TYPE)


def handle_errors(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> Response:
        return respond(request, problem)

    @app.exception_handler(RequestValidationError)
    async def on_validation(request: Request, error: RequestValidationError) -> Response:
        errors = [FieldError(pointer_to(*each["loc"][1:]), each["msg"]) for each in error.errors()]
        return respond(request, InvalidInput("the request does not fit this route", errors))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        problem = Problem(str(error.detail))
        problem.status, problem.title = error.status_code, str(error.detail)
        problem.code = "HTTP." + str(error.detail).upper().replace(" ", "_")
        return respond(request, problem)
