"""Without a key, every route answers the same, whatever else is wrong with the request."""

from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest

from service.openapi import document
from service.store.tenants import Scope, TenantStore
from tests.conftest import Api, api_running

ID = "job_0190a6a1b2c34d5e8f90123456789abc"
UNDOCUMENTED = [
    ("post", "/v1/videos"),
    ("post", "/v1/videos/edits"),
    ("get", "/v1/videos"),
    ("get", f"/v1/videos/{ID}"),
]
PARAMETERS = ("after", "format", "from", "limit", "order", "status", "validate_only", "wait")
HEADERS = ("cancel-after", "idempotency-key", "last-event-id", "range", "x-stainless-retry-count")


def guarded_routes() -> Iterator[tuple[str, str]]:
    """Method and path of each route that takes a key."""
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            if operation.get("security"):
                yield method, path.format(job_id=ID, model="tiny", upload_id="x", endpoint_id="x", delivery_id="x")


@pytest.fixture(scope="module")
def guarded(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api_running(tmp_path_factory.mktemp("guarded"), redis_port, {"CINEMO_AUTH": "keys"}) as api:
        yield api


@pytest.mark.parametrize(("method", "path"), [*guarded_routes(), *UNDOCUMENTED])
def test_an_anonymous_caller_learns_of_no_other_fault(guarded: Api, method: str, path: str) -> None:
    for repeats in (1, 2):
        for parameters, headers in (
            ([(name, "?") for name in PARAMETERS] * repeats, []),
            ([], [(name, "a b") for name in HEADERS] * repeats),
        ):
            answer = httpx.request(
                method,
                f"{guarded.url}{path}?{urlencode(parameters)}",
                headers=[*headers, ("content-type", "application/json")],
                content="{" if method == "post" else None,
            )
            assert (answer.status_code, answer.json()["code"]) == (401, "AUTH.KEY_INVALID"), answer.text


def test_two_keys_are_as_good_as_none(guarded: Api) -> None:
    _, token = TenantStore(guarded.redis).create_key("acme", frozenset(Scope))
    key = ("Authorization", f"Bearer {token}")
    assert httpx.get(f"{guarded.url}/models", headers=[key]).status_code == 200
    answer = httpx.get(f"{guarded.url}/models", headers=[key, key])
    assert (answer.status_code, answer.json()["code"]) == (401, "AUTH.KEY_INVALID")
    assert "more than once" in answer.json()["detail"]
