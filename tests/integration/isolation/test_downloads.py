"""Ranges that mean harm or nothing: answered as problems that no browser takes for a page, and never by a 500."""

import httpx
import pytest

from service.storage import LocalStore
from tests.conftest import Api

KEY = "jobs/job_1/1/video.mp4"


def signed(api: Api, key: str = KEY, content_type: str = "video/mp4", data: bytes = b"0123456789") -> str:
    store = LocalStore(api.storage_folder, api.url, "for tests alone")
    store.put_bytes(key, data, content_type)
    return store.presign(key, 60)


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ("bytes", 400, "RANGE.MALFORMED"),
        ("bytes=", 400, "RANGE.MALFORMED"),
        ("bytes=x-y", 400, "RANGE.MALFORMED"),
        ("bytes=-", 400, "RANGE.MALFORMED"),
        ("bytes=5-2", 400, "RANGE.MALFORMED"),
        ("pages=1-2", 400, "RANGE.MALFORMED"),
        ("bytes=" + "9" * 5000 + "-", 400, "RANGE.MALFORMED"),
        ("<script>alert(1)</script>", 400, "RANGE.MALFORMED"),
        ("bytes=10-", 416, "RANGE.UNSATISFIABLE"),
        ("bytes=0-1,99-", 416, "RANGE.UNSATISFIABLE"),
        ("bytes=-0", 416, "RANGE.UNSATISFIABLE"),
    ],
)
def test_a_bad_range_is_a_problem_that_no_browser_takes_for_a_page(
    api: Api, asked: str, status: int, code: str
) -> None:
    answer = httpx.get(signed(api), headers={"range": asked})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get("content-range") == ("bytes */10" if status == 416 else None)


@pytest.mark.parametrize("asked", [None, "bytes=2-4", "bytes=0-1,5-6", "bytes=-3", "bytes=0-0" + ",0-0" * 200])
def test_whatever_is_served_says_what_it_is_and_how_it_is_to_be_shown(api: Api, asked: str | None) -> None:
    answer = httpx.get(signed(api), headers={"range": asked} if asked else {})
    assert answer.status_code in (200, 206)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == 'inline; filename="job_1.mp4"'


@pytest.mark.parametrize("content_type", ["text/html", "application/octet-stream", "image/svg+xml"])
def test_what_could_run_as_a_page_is_saved_and_not_shown(api: Api, content_type: str) -> None:
    answer = httpx.get(signed(api, "jobs/job_1/1/notes", content_type, b"<script>alert(1)</script>"))
    assert answer.headers["content-disposition"] == 'attachment; filename="notes"'


def test_a_range_of_another_version_of_the_file_is_not_looked_at(api: Api) -> None:
    answer = httpx.get(signed(api), headers={"range": "bytes=99-", "if-range": '"another"'})
    assert (answer.status_code, answer.content) == (200, b"0123456789")


def test_a_file_that_went_after_its_description_was_read_is_a_404(api: Api) -> None:
    url = signed(api)
    (api.storage_folder / "data" / KEY).unlink()
    assert httpx.get(url).status_code == 404


@pytest.mark.parametrize("path", ["/nowhere", "/jobs/job_1", "/files/x", "/healthz", "/metrics", "/", "/docs"])
def test_no_answer_of_any_route_may_be_taken_for_what_it_does_not_say(api: Api, path: str) -> None:
    assert httpx.get(api.url + path).headers.get_list("x-content-type-options") == ["nosniff"]
