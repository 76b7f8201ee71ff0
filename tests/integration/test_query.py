"""A query parameter that takes one value is given once: which of two is meant, nobody can say."""

from collections.abc import Iterator

import httpx
import pytest

from service.openapi import document
from tests.conftest import Api
from tests.integration.refusal import assert_refused

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


def documented(is_list: bool) -> Iterator[tuple[str, str, str]]:
    """Method, path and name of each query parameter that takes several values, or one."""
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            for each in operation.get("parameters", ()):
                if each["in"] == "query" and (each["schema"].get("type") == "array") is is_list:
                    yield method, path.format(job_id=ID, model="tiny"), each["name"]


@pytest.mark.parametrize(("method", "path", "name"), [*documented(is_list=False), *UNDOCUMENTED])
@pytest.mark.parametrize("second", ["one", "another"])
def test_a_parameter_with_one_value_is_rejected_if_it_is_repeated(
    api: Api, method: str, path: str, name: str, second: str
) -> None:
    answer = httpx.request(method, api.url + path, params=[(name, "one"), ("other", "x"), (name, second)])
    assert_refused(api, answer, 400 if path.startswith("/v1/") else 422, f"#/{name}", "given more than once")


@pytest.mark.parametrize(("method", "path", "name"), documented(is_list=True))
def test_a_list_may_be_repeated(api: Api, method: str, path: str, name: str) -> None:
    answer = httpx.request(method, api.url + path, params=[(name, "day"), (name, "kind")])
    assert answer.status_code == 200


def test_no_job_is_created_if_a_request_to_validate_it_contradicts_itself(api: Api) -> None:
    for values in (["true", "false"], ["false", "true"]):
        answer = httpx.post(f"{api.url}/animate", params={"validate_only": values}, json={"prompt": "waves"})
        assert_refused(api, answer, 422, "#/validate_only", "given more than once")
