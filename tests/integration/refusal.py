"""Asserts that a request is rejected without a trace."""

import httpx

from tests.conftest import Api


def assert_refused(api: Api, answer: httpx.Response, status: int, pointer: str | None, words: str) -> None:
    """Rejected with this status, field and text; nothing is queued or stored, and the API is still up."""
    problem = answer.json()
    assert answer.status_code == status, problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status, problem
    assert problem["code"], problem
    assert problem["retryable"] is False, problem
    assert problem["request_id"] == answer.headers["x-request-id"]
    if pointer is not None:
        assert pointer in [error["pointer"] for error in problem["errors"]], problem
    assert words in str(problem), problem
    assert api.queued() == 0
    assert not api.storage_folder.joinpath("data").exists(), "a refused picture is not kept"
    assert httpx.get(f"{api.url}/healthz").status_code == 200
