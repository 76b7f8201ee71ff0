"""Behind a proxy, below its path and within its timeout; and requests of browsers and load balancers."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from starlette.testclient import TestClient

from cinemo_client import Client
from deploy.local.redis import free_port
from service.api import jobs
from service.api.app import create_app
from service.contract.record import JobError
from tests.conftest import Api, api_running
from tests.front import front
from tests.jobs import JobStore
from tests.pictures import small_png
from tests.settings import settings_for

PATIENCE_SECONDS = 2
LONGER_THAN_UVICORNS_OWN_SECONDS = 6
STUDIO = "https://studio.example"
FORM: dict[str, Any] = {"data": {"prompt": "waves"}, "files": {"image": small_png()}}
STREAM = {"Accept": "text/event-stream"}


@dataclass(frozen=True)
class Fronted:
    """An API behind a proxy, by whose URL clients know it."""

    api: Api
    url: str


@pytest.fixture(scope="module")
def fronted(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    with ExitStack() as parts:
        port = free_port()
        changes = {
            "CINEMO_PUBLIC_BASE_URL": f"http://127.0.0.1:{port}/video/v1/",
            "CINEMO_CORS_ORIGINS": f'["{STUDIO}"]',
        }
        api = parts.enter_context(api_running(tmp_path_factory.mktemp("fronted"), redis_port, changes))
        yield Fronted(api, parts.enter_context(front(api.url, port, "/video/v1", PATIENCE_SECONDS)))


@pytest.fixture(autouse=True)
def empty(fronted: Fronted) -> None:
    fronted.api.redis.flushall()


def test_all_links_lead_through_the_proxy(fronted: Fronted) -> None:
    posted = httpx.post(f"{fronted.url}/animate", **FORM)
    place = posted.headers["location"]
    assert place == posted.json()["urls"]["self"] == f"{fronted.url}/jobs/{posted.json()['id']}"
    job = httpx.get(place).json()
    assert httpx.get(job["urls"]["events"]).json()["events"][0]["type"] == "job.queued"
    again = httpx.post(f"{fronted.url}/jobs/{job['id']}/rerun")
    assert again.headers["location"] == f"{fronted.url}/jobs/{again.json()['id']}"
    assert httpx.post(job["urls"]["cancel"]).json()["status"] == "canceled"
    document = httpx.get(f"{fronted.url}/openapi.json").json()
    assert document["servers"] == [{"url": fronted.url}]


def test_the_client_works_through_the_proxy(fronted: Fronted) -> None:
    with Client(fronted.url) as client:
        job = client.animate(small_png(), prompt="waves")
        assert [each.id for each in client.jobs()] == [job.id]
        assert client.job(job.id).cancel().status == "canceled"


def test_the_location_is_sent_before_the_wait_so_that_clients_may_give_up(fronted: Fronted) -> None:
    """The proxy forwards the headers at once, and the ended job in the same response."""
    headers = {"Prefer": "wait=60"}
    store = JobStore(fronted.api.redis)
    with httpx.stream("POST", f"{fronted.url}/animate", headers=headers, timeout=30, **FORM) as answer:
        assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=50")
        place = answer.headers["location"]
        assert httpx.get(place).json()["status"] == "queued"
        job = store.attempts.dequeue("animate", "worker")
        assert job is not None
        assert store.attempts.fail(job, JobError(code="MODEL.FAILED", message="for a test", retryable=False)).happened
        ended = json.loads(answer.read())
    assert (ended["status"], ended["urls"]["self"]) == ("failed", place)


def test_a_wait_of_a_minute_is_accepted_but_shortened(
    redis_client: redis.Redis, redis_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jobs.preferred_wait("wait=60") == jobs.MAX_WAIT_SECONDS == 50
    monkeypatch.setattr(jobs, "MAX_WAIT_SECONDS", 1)
    app = create_app(settings_for(redis_port, tmp_path).model_copy(update={"auth": "off"}))
    # As a context, it serves all requests on one event loop, like a server.
    with TestClient(app) as http:
        place = f"/jobs/{http.post('/animate', **FORM).json()['id']}"
        began = time.monotonic()
        assert http.get(place, params={"wait": 60}).json()["status"] == "queued"
        assert time.monotonic() - began < 30
        assert http.get(place, params={"wait": 61}).status_code == 422


@pytest.mark.parametrize("path", ["/animate/", "/jobs/", "/healthz/"])
def test_a_trailing_slash_does_not_redirect(fronted: Fronted, path: str) -> None:
    answer = httpx.post(fronted.url + path, **FORM) if "animate" in path else httpx.get(fronted.url + path)
    assert answer.status_code in (200, 202)


def test_a_page_with_a_trailing_slash_redirects_below_the_same_path(fronted: Fronted) -> None:
    answer = httpx.get(f"{fronted.url}/docs/", follow_redirects=True)
    assert (answer.status_code, str(answer.url)) == (200, f"{fronted.url}/docs")


def test_head_is_get_without_the_body(fronted: Fronted) -> None:
    job = httpx.post(f"{fronted.url}/animate", **FORM).json()
    folder = fronted.api.storage_folder
    photo = next(path for path in (folder / "data").rglob("image.*") if job["id"] in str(path))
    for place in ("/healthz", "/readyz", "/jobs", f"/jobs/{job['id']}", "/openapi.json", "/docs", "/models", "/"):
        read, asked = httpx.get(fronted.api.url + place), httpx.head(fronted.api.url + place)
        assert (asked.status_code, asked.content) == (200, b"")
        assert asked.headers["content-type"] == read.headers["content-type"]
    assert photo.exists()
    assert httpx.head(f"{fronted.api.url}/jobs/unknown").status_code == 404
    assert httpx.head(f"{fronted.api.url}/animate").status_code == 405
    stream = httpx.head(f"{fronted.api.url}/jobs/{job['id']}/events", headers=STREAM)
    assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


def test_only_pages_of_configured_origins_may_call_the_api(fronted: Fronted) -> None:
    asked = {
        "Origin": STUDIO,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    preflight = httpx.options(f"{fronted.api.url}/animate", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, STUDIO)
    assert "idempotency-key" in preflight.headers["access-control-allow-headers"]
    posted = httpx.post(
        f"{fronted.api.url}/animate", headers={"Origin": STUDIO, "Sec-Fetch-Site": "cross-site"}, **FORM
    )
    assert posted.status_code == 202, posted.text
    assert posted.headers["access-control-allow-origin"] == STUDIO
    assert "Location" in posted.headers["access-control-expose-headers"]
    refused = httpx.get(f"{fronted.api.url}/jobs/unknown", headers={"Origin": STUDIO})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (404, STUDIO)
    other = httpx.options(f"{fronted.api.url}/animate", headers={**asked, "Origin": "https://evil.example"})
    assert (other.status_code, other.headers.get("access-control-allow-origin")) == (400, None)


def test_an_event_source_that_has_seen_the_end_stops_reconnecting(fronted: Fronted) -> None:
    job = httpx.post(f"{fronted.url}/animate", **FORM).json()
    httpx.post(job["urls"]["cancel"])
    events = f"{fronted.api.url}/jobs/{job['id']}/events"
    heard = httpx.get(events, headers=STREAM).text
    last = [line.removeprefix("id: ") for line in heard.splitlines() if line.startswith("id: ")][-1]
    assert "event: job.canceled" in heard
    over = httpx.get(events, headers={**STREAM, "Last-Event-ID": last})
    assert (over.status_code, over.content) == (204, b"")
    # event-source-polyfill, which can send a key, has its own way.
    over = httpx.get(events, params={"lastEventId": last}, headers=STREAM)
    assert (over.status_code, over.content) == (204, b"")


def test_idle_connections_are_kept_longer_than_load_balancers_do(fronted: Fronted) -> None:
    connection = HTTPConnection(fronted.api.url.removeprefix("http://"))
    with closing(connection):
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        connection.sock.settimeout(LONGER_THAN_UVICORNS_OWN_SECONDS)
        with pytest.raises(TimeoutError):
            connection.sock.recv(1)


def test_a_utc_offset_whose_plus_became_a_space_is_accepted(fronted: Fronted) -> None:
    job = httpx.post(f"{fronted.url}/animate", **FORM).json()
    for lost in ("2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00.5+0200", "2020-01-01 00:00:00+02:00"):
        answer = httpx.get(f"{fronted.api.url}/jobs?created_after={lost}")
        assert [each["id"] for each in answer.json()["jobs"]] == [job["id"]], answer.text
    assert httpx.get(f"{fronted.api.url}/jobs?created_after=2020-01-01T00:00:00").status_code == 422
