"""Malicious or meaningless ranges get problems that no browser renders as a page, and never a 500."""

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
def test_an_invalid_range_is_a_problem_that_browsers_do_not_render_as_a_page(
    api: Api, asked: str, status: int, code: str
) -> None:
    answer = httpx.get(signed(api), headers={"range": asked})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get("content-range") == ("bytes */10" if status == 416 else None)


@pytest.mark.parametrize("asked", [None, "bytes=2-4", "bytes=0-1,5-6", "bytes=-3", "bytes=0-0" + ",0-0" * 200])
def test_downloads_state_their_content_type_and_disposition(api: Api, asked: str | None) -> None:
    answer = httpx.get(signed(api), headers={"range": asked} if asked else {})
    assert answer.status_code in (200, 206)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == 'inline; filename="job_1.mp4"'


@pytest.mark.parametrize("content_type", ["text/html", "application/octet-stream", "image/svg+xml"])
def test_files_that_browsers_could_run_are_served_as_attachments(api: Api, content_type: str) -> None:
    answer = httpx.get(signed(api, "jobs/job_1/1/notes", content_type, b"<script>alert(1)</script>"))
    assert answer.headers["content-disposition"] == 'attachment; filename="notes"'


def test_a_range_for_another_etag_is_ignored(api: Api) -> None:
    answer = httpx.get(signed(api), headers={"range": "bytes=99-", "if-range": '"another"'})
    assert (answer.status_code, answer.content) == (200, b"0123456789")


def test_a_file_deleted_between_head_and_read_is_a_404(api: Api) -> None:
    url = signed(api)
    (api.storage_folder / "data" / KEY).unlink()
    assert httpx.get(url).status_code == 404


@pytest.mark.parametrize("path", ["/nowhere", "/jobs/job_1", "/files/x", "/healthz", "/metrics", "/", "/docs"])
def test_every_response_forbids_content_sniffing(api: Api, path: str) -> None:
    assert httpx.get(api.url + path).headers.get_list("x-content-type-options") == ["nosniff"]
