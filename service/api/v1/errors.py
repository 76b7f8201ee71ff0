"""Errors under /v1: problem documents with OpenAI's `error` as an extra member, and statuses that its clients know."""

from typing import Any

from service.contract.problems import ModelDeleted, Problem, RequestInFlight

PREFIX = "/v1/"
STATUSES = {410: 404, 415: 400, 422: 400}
"""Replacements for statuses without an exception class in its clients."""
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
IN_FLIGHT_SECONDS = 1


def is_dialect(path: str) -> bool:
    """Whether a path belongs to the dialect."""
    return path.startswith(PREFIX)


def status_of(problem: Problem) -> int:
    """Return the status that the dialect uses for a problem."""
    return 400 if isinstance(problem, ModelDeleted) else STATUSES.get(problem.status, problem.status)


def members(problem: Problem) -> dict[str, Any]:
    """Return members to add to the problem document or replace in it; `param` is the first invalid field."""
    status = status_of(problem)
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    param = problem.errors[0].pointer.removeprefix("#/").partition("/")[0] if problem.errors else None
    error = {"message": problem.detail, "type": kind, "param": param, "code": problem.code}
    return {"status": status, "error": error}


def headers(problem: Problem) -> dict[str, str]:
    """Return extra headers: clients retry a 409 without being told to, so tell them when."""
    return {"Retry-After": str(IN_FLIGHT_SECONDS)} if isinstance(problem, RequestInFlight) else {}
