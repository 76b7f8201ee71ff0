"""Without API keys, pages of other sites can change and read nothing, whatever their host name resolves to."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import ValidationError

from service.contract.settings import Settings
from service.storage import LocalStore
from tests.conftest import Api, api_running
from tests.integration.isolation.wire import answer_of, connected
from tests.pictures import small_png

EVIL = "https://evil.example"
FORM: dict[str, Any] = {"data": {"prompt": "waves"}, "files": {"image": small_png()}}
BY_BROWSERS = [
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "empty", "origin": EVIL},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "origin": EVIL},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "origin": "http://127.0.0.1:3000"},
    {"sec-fetch-site": "cross-site", "origin": "null"},
    {"sec-fetch-site": "anything else"},
    {"origin": EVIL},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://localhost"},
]
LIES = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "evil.example.",
    "a@127.0.0.1",
    "localhost.evil.example:80",
    "127.0.0.1:x",
]


def job_of(api: Api) -> str:
    return str(httpx.post(f"{api.url}/animate", **FORM).json()["id"])


def calls(job_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        ("POST", "/animate", FORM),
        ("POST", "/uploads", {"content": small_png()}),
        ("POST", "/train", {"content": "{}", "headers": {"content-type": "text/plain"}}),
        ("POST", "/webhooks/redeliver", {"content": "{}"}),
        ("POST", f"/jobs/{job_id}/cancel", {}),
        ("POST", f"/jobs/{job_id}/rerun", {}),
        ("POST", f"/jobs/{job_id}/redeliver", {}),
        ("DELETE", f"/jobs/{job_id}", {}),
        ("DELETE", "/models/a@000000000000", {}),
    ]


@pytest.mark.parametrize("headers", BY_BROWSERS, ids=range(len(BY_BROWSERS)))
def test_pages_of_other_sites_cannot_change_anything(api: Api, headers: dict[str, str]) -> None:
    job_id = job_of(api)
    before = api.queued()
    for method, path, sent in calls(job_id):
        own = sent.get("headers", {})
        answer = httpx.request(method, api.url + path, **{**sent, "headers": {**own, **headers}})
        assert (answer.status_code, answer.json()["code"]) == (403, "REQUEST.CROSS_SITE"), (method, path)
        assert answer.headers["content-type"] == "application/problem+json"
    assert api.queued() == before
    assert httpx.get(f"{api.url}/jobs/{job_id}").json()["status"] == "queued"


@pytest.mark.parametrize("path", ["/jobs", "/models", "/openapi.json", "/metrics", "/jobs/x/events"])
def test_pages_of_other_sites_cannot_load_anything(api: Api, path: str) -> None:
    for dest in ("empty", "image", "script", "iframe", "embed"):
        headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": dest}
        assert httpx.get(api.url + path, headers=headers).status_code == 403
    framed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
    assert httpx.get(api.url + path, headers=framed).status_code == 403


@pytest.mark.parametrize("host", LIES)
def test_a_rebound_host_name_cannot_read_anything(api: Api, host: str) -> None:
    job_id = job_of(api)
    name = host.format(port=urlsplit(api.url).port)
    own = {"host": name, "sec-fetch-site": "same-origin", "origin": f"http://{name}"}
    for method, path in (
        ("GET", "/jobs"),
        ("GET", f"/jobs/{job_id}"),
        ("GET", "/"),
        ("POST", f"/jobs/{job_id}/cancel"),
    ):
        answer = httpx.request(method, api.url + path, headers=own)
        assert (answer.status_code, answer.json()["code"]) == (421, "REQUEST.HOST_UNKNOWN"), (method, path)


def test_a_request_with_two_host_headers_is_rejected(api: Api) -> None:
    head = b"GET /jobs HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
    with connected(api, head) as connection:
        assert answer_of(connection)[0] in (400, 421)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:{port}",
        "localhost:{port}",
        "LOCALHOST",
        "[::1]:{port}",
        "api:8000",
        "x.localhost",
        "10.1.2.3",
    ],
)
def test_local_addresses_and_names_are_accepted_as_hosts(api: Api, host: str) -> None:
    name = host.format(port=urlsplit(api.url).port)
    for headers in ({"host": name}, {"host": name, "origin": f"http://{name}", "sec-fetch-site": "same-origin"}):
        assert httpx.get(f"{api.url}/jobs", headers=headers).status_code == 200
        assert httpx.post(f"{api.url}/animate", headers=headers, **FORM).status_code == 202


def test_its_own_page_other_programs_and_followed_links_are_served(api: Api) -> None:
    port = urlsplit(api.url).port
    for headers in (
        {},
        {"sec-fetch-site": "same-origin", "origin": api.url},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"origin": api.url},
        {"origin": f"http://127.0.0.1:{port}"},
    ):
        assert httpx.post(f"{api.url}/animate", headers=headers, **FORM).status_code == 202
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert httpx.get(api.url, headers=link).status_code == 200


def test_a_signed_download_may_be_embedded_anywhere(api: Api) -> None:
    store = LocalStore(api.storage_folder, api.url, "for tests alone")
    store.put_bytes("jobs/job_1/1/video.mp4", b"0123456789", "video/mp4")
    shown = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "video"}
    assert httpx.get(store.presign("jobs/job_1/1/video.mp4", 60), headers=shown).status_code == 200


@pytest.fixture(scope="module")
def open_api(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    changes = {"CINEMO_TRUSTED_ORIGINS": '["https://studio.example"]'}
    with api_running(tmp_path_factory.mktemp("open"), redis_port, changes) as api:
        yield api


def test_only_trusted_origins_and_hosts_are_accepted(open_api: Api) -> None:
    asked = {"sec-fetch-site": "cross-site", "origin": "https://studio.example"}
    assert httpx.post(f"{open_api.url}/animate", headers=asked, **FORM).status_code == 202
    assert httpx.get(f"{open_api.url}/jobs", headers={"host": "studio.example"}).status_code == 200
    assert httpx.post(f"{open_api.url}/animate", headers={"origin": EVIL}, **FORM).status_code == 403


@pytest.mark.parametrize(
    "changes", [{"CINEMO_TRUSTED_ORIGINS": '["*"]'}, {"CINEMO_AUTH": "keys"}], ids=["open", "keys"]
)
def test_the_check_is_off_with_a_wildcard_origin_or_with_api_keys(
    redis_port: int, tmp_path_factory: pytest.TempPathFactory, changes: dict[str, str]
) -> None:
    with api_running(tmp_path_factory.mktemp("opened"), redis_port, changes) as api:
        headers = {"host": "evil.example", "origin": EVIL, "sec-fetch-site": "cross-site"}
        status = httpx.get(f"{api.url}/jobs", headers=headers).status_code
        assert status == (401 if "CINEMO_AUTH" in changes else 200)


@pytest.mark.parametrize("origin", ["https://studio.example/", "studio.example", "https://", "HTTPS://STUDIO.EXAMPLE"])
def test_an_invalid_origin_in_the_settings_is_rejected_at_startup(origin: str) -> None:
    with pytest.raises(ValidationError, match="trusted_origins"):
        Settings(storage_url="s3://videos", trusted_origins=(origin,))
