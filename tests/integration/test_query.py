"""A query parameter or header that takes one value is given once: which of two is meant, nobody can say."""

from collections.abc import Iterator

import httpx
import pytest

from service.openapi import document
from tests.conftest import Api
from tests.integration.refusal import assert_refused
from tests.jobs import JobStore, new_job

ID = "job_0190a6a1b2c34d5e8f90123456789abc"
UNDOCUMENTED = [
    ("post", "/v1/videos", "validate_only"),
    ("post", "/v1/videos/edits", "validate_only"),
    ("get", "/v1/videos", "after"),
    ("get", "/v1/videos", "limit"),
    ("get", "/v1/videos", "order"),
    ("get", f"/v1/videos/{ID}/content", "variant"),
    ("get", f"/files/jobs/{ID}/1/video.mp4", "expires"),
    ("get", f"/files/jobs/{ID}/1/video.mp4", "signature"),
]


UNDOCUMENTED_HEADERS = [
    ("post", "/v1/videos", "idempotency-key"),
    ("post", "/v1/videos/edits", "x-stainless-retry-count"),
]


def single_headers() -> Iterator[tuple[str, str, str]]:
    """Method, path and name of each header that takes one value."""
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            for each in operation.get("parameters", ()):
                if each["in"] == "header" and each["name"] not in ("prefer", "if-none-match"):
                    yield method, path.format(job_id=ID, model="tiny"), each["name"]


def documented(is_list: bool) -> Iterator[tuple[str, str, str]]:
    """Method, path and name of each query parameter that takes several values, or one."""
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            for each in operation.get("parameters", ()):
                if each["in"] == "query" and (each["schema"].get("type") == "array") is is_list:
                    yield method, path.format(job_id=ID, model="tiny"), each["name"]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [each for each in (*documented(is_list=False), *UNDOCUMENTED) if each[1:] != (f"/jobs/{ID}", "wait")],
)
@pytest.mark.parametrize("second", ["one", "another"])
def test_a_parameter_with_one_value_is_rejected_if_it_is_repeated(
    api: Api, method: str, path: str, name: str, second: str
) -> None:
    answer = httpx.request(method, api.url + path, params=[(name, "one"), ("other", "x"), (name, second)])
    assert_refused(api, answer, 400 if path.startswith("/v1/") else 422, f"#/{name}", "given more than once")


def test_a_job_is_found_before_the_request_for_it_is_checked(api: Api) -> None:
    url = f"{api.url}/jobs/{ID}?wait=1&wait=2"
    assert httpx.get(url).status_code == 404
    JobStore(api.redis).submissions.create(new_job(ID))
    answer = httpx.get(url)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/wait")


@pytest.mark.parametrize(("method", "path", "name"), [*single_headers(), *UNDOCUMENTED_HEADERS])
def test_a_header_with_one_value_is_rejected_if_it_is_repeated(api: Api, method: str, path: str, name: str) -> None:
    answer = httpx.request(method, api.url + path, headers=[(name, "1"), ("other", "x"), (name, "1")])
    assert_refused(api, answer, 400 if path.startswith("/v1/") else 422, f"#/{name}", "given more than once")


def test_a_header_that_is_a_list_may_be_repeated(api: Api) -> None:
    JobStore(api.redis).submissions.create(new_job(ID))
    url = f"{api.url}/jobs/{ID}"
    tag = httpx.get(url).headers["etag"]
    answer = httpx.get(url, headers=[("If-None-Match", '"another"'), ("If-None-Match", tag)])
    assert answer.status_code == 304


def test_a_body_of_two_types_is_rejected(api: Api) -> None:
    types = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    answer = httpx.post(f"{api.url}/animate", headers=types, content=b"{}")
    assert_refused(api, answer, 400, None, "Content-Type is given more than once")


@pytest.mark.parametrize(("method", "path", "name"), documented(is_list=True))
def test_a_list_may_be_repeated(api: Api, method: str, path: str, name: str) -> None:
    answer = httpx.request(method, api.url + path, params=[(name, "day"), (name, "kind")])
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/jobs?cursor=", "/v1/videos?after="])
def test_an_empty_cursor_leads_to_the_first_page(api: Api, path: str) -> None:
    JobStore(api.redis).submissions.create(new_job(ID))
    found = httpx.get(api.url + path).json()
    assert [each["id"] for each in found.get("jobs", found.get("data"))] == [ID]


def test_no_job_is_created_if_a_request_to_validate_it_contradicts_itself(api: Api) -> None:
    for values in (["true", "false"], ["false", "true"]):
        answer = httpx.post(f"{api.url}/animate", params={"validate_only": values}, json={"prompt": "waves"})
        assert_refused(api, answer, 422, "#/validate_only", "given more than once")
