"""Errors under /v1: our problem document with OpenAI's `error` as one more member, and statuses its clients know."""

from typing import Any

from service.contract.problems import ModelDeleted, Problem, RequestInFlight

PREFIX = "/v1/"
STATUSES = {410: 404, 415: 400, 422: 400}
"""What its clients have a class for. They take 409 for a request that is to be sent again."""
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
IN_FLIGHT_SECONDS = 1


def is_dialect(path: str) -> bool:
    """Whether a path is one of the dialect's."""
    return path.startswith(PREFIX)


def status_of(problem: Problem) -> int:
    """The status under which a problem leaves."""
    return 400 if isinstance(problem, ModelDeleted) else STATUSES.get(problem.status, problem.status)


def members(problem: Problem) -> dict[str, Any]:
    """Members of the problem document that replace ours or are added; `param` is the first wrong field."""
    status = status_of(problem)
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    param = problem.errors[0].pointer.removeprefix("#/").partition("/")[0] if problem.errors else None
    error = {"message": problem.detail, "type": kind, "param": param, "code": problem.code}
    return {"status": status, "error": error}


def headers(problem: Problem) -> dict[str, str]:
    """Whatever clients send again says when."""
    return {"Retry-After": str(IN_FLIGHT_SECONDS)} if isinstance(problem, RequestInFlight) else {}
