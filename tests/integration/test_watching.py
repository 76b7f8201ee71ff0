"""Waiting for a job, following its events, and finding it in lists."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.contract.record import Job, JobMetrics, new_job_id
from service.store.keys import job_key
from tests.conftest import Api
from tests.jobs import OUTPUT, JobStore, new_job, new_training, step


@pytest.fixture
def store(api: Api) -> JobStore:
    return JobStore(api.redis)


def begun(store: JobStore) -> Job:
    """A running job."""
    job = new_job(new_job_id())
    store.submissions.create(job)
    taken = store.attempts.dequeue("animate", "worker")
    assert taken is not None
    return taken


def later(action: Callable[[], object]) -> threading.Timer:
    """Do something while the test waits."""
    timer = threading.Timer(0.3, action)
    timer.start()
    return timer


@pytest.mark.parametrize("asked", [{"params": {"wait": 20}}, {"headers": {"Prefer": "respond-async, wait=20"}}])
def test_a_waiting_client_gets_a_response_when_the_job_ends(api: Api, store: JobStore, asked: dict[str, Any]) -> None:
    job = begun(store)
    later(lambda: store.attempts.report_progress(job, step(1)))
    later(lambda: store.attempts.succeed(job, OUTPUT, JobMetrics()))
    started = time.monotonic()
    answer = httpx.get(f"{api.url}/jobs/{job.id}", timeout=30, **asked)
    assert answer.json()["status"] == "succeeded"
    assert time.monotonic() - started < 10
    assert answer.headers.get("preference-applied") == ("wait=20" if "headers" in asked else None)


def test_a_wait_that_times_out_returns_the_current_job(api: Api, store: JobStore) -> None:
    job = begun(store)
    answer = httpx.get(f"{api.url}/jobs/{job.id}?wait=1", timeout=30)
    assert (answer.json()["status"], answer.headers["retry-after"]) == ("running", "1")


def test_a_job_that_has_ended_is_not_waited_for(api: Api, store: JobStore) -> None:
    job = begun(store)
    store.attempts.succeed(job, OUTPUT, JobMetrics())
    started = time.monotonic()
    answer = httpx.get(f"{api.url}/jobs/{job.id}?wait=60", timeout=70)
    assert time.monotonic() - started < 10
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("wait", ["0", "61", "soon"])
def test_a_wait_out_of_range_is_refused(api: Api, store: JobStore, wait: str) -> None:
    assert httpx.get(f"{api.url}/jobs/{begun(store).id}?wait={wait}").status_code == 422


def test_a_hundred_waiting_clients_do_not_block_others(api: Api, store: JobStore) -> None:
    job = begun(store)
    answers: list[str] = []

    def ask() -> None:
        answers.append(httpx.get(f"{api.url}/jobs/{job.id}?wait=50", timeout=60).json()["status"])

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    assert httpx.get(f"{api.url}/readyz", timeout=20).status_code == 200
    store.attempts.succeed(job, OUTPUT, JobMetrics())
    for thread in threads:
        thread.join(60)
    assert answers == ["succeeded"] * 100


def test_an_unchanged_job_is_not_sent_again(api: Api, store: JobStore) -> None:
    job = begun(store)
    url = f"{api.url}/jobs/{job.id}"
    tag = httpx.get(url).headers["etag"]
    again = httpx.get(url, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for known in ("*", tag.removeprefix("W/")):
        assert httpx.get(url, headers={"If-None-Match": known}).status_code == 304
    store.attempts.report_progress(job, step(1))
    changed = httpx.get(url, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def events_of(response: httpx.Response) -> Iterator[dict[str, str]]:
    """The server-sent events of a response, each as its fields."""
    event: dict[str, str] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            event[name] = value
        elif event:
            yield event
            event = {}


def listen(api: Api, job: Job, **headers: str) -> list[dict[str, str]]:
    with httpx.stream(
        "GET", f"{api.url}/jobs/{job.id}/events", headers={"Accept": "text/event-stream", **headers}, timeout=30
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return list(events_of(response))


def test_events_are_streamed_until_the_job_has_ended(api: Api, store: JobStore) -> None:
    job = begun(store)

    def go_on() -> None:
        for done in (1, 2):
            store.attempts.report_progress(job, step(done))
        store.attempts.succeed(job, OUTPUT, JobMetrics())

    later(go_on)
    heard = listen(api, job)
    kinds = [event["event"] for event in heard]
    assert kinds == ["job.queued", "job.running", "progress", "progress", "job.succeeded"]
    assert {json.loads(event["data"])["step"] for event in heard[2:4]} == {1, 2}


def test_a_disconnected_listener_resumes_after_the_last_event_it_saw(api: Api, store: JobStore) -> None:
    job = begun(store)
    for done in (1, 2):
        store.attempts.report_progress(job, step(done))
    store.attempts.succeed(job, OUTPUT, JobMetrics())
    heard = listen(api, job)
    rest = listen(api, job, **{"Last-Event-ID": heard[2]["id"]})
    assert rest == heard[3:]
    listed = httpx.get(f"{api.url}/jobs/{job.id}/events", params={"after": heard[2]["id"]}).json()["events"]
    assert [event["id"] for event in listed] == [event["id"] for event in rest]


LONGEST = "9" * 19


@pytest.mark.parametrize("after", [f"{2**64}", f"1-{2**64}", "٣", "soon", "-1"])
def test_an_invalid_event_id_is_rejected(api: Api, store: JobStore, after: str) -> None:
    url = f"{api.url}/jobs/{begun(store).id}/events"
    assert httpx.get(url, params={"after": after}).status_code == 422
    assert httpx.get(url, headers=[(b"Last-Event-ID", after.encode())]).status_code == 422
    assert httpx.get(url, params={"after": f"{LONGEST}-{LONGEST}"}).json() == {"events": []}


def made(store: JobStore, count: int) -> list[str]:
    """IDs of new jobs, newest first."""
    jobs = [new_job(new_job_id()) if number % 3 else new_training(new_job_id()) for number in range(count)]
    for job in jobs:
        store.submissions.create(job)
    return sorted((job.id for job in jobs), reverse=True)


def listed(api: Api, **parameters: Any) -> dict[str, Any]:
    answer = httpx.get(f"{api.url}/jobs", params=parameters)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def test_jobs_are_listed_in_pages_newest_first(api: Api, store: JobStore) -> None:
    ids = made(store, 7)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    pages = 0
    while True:
        page = listed(api, limit=3, **cursor)
        seen += [job["id"] for job in page["jobs"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert (seen, pages) == (ids, 3)


def test_jobs_are_filtered_by_state_kind_and_time(api: Api, store: JobStore) -> None:
    running = begun(store).id
    ids = made(store, 6)
    assert [job["id"] for job in listed(api, status="running")["jobs"]] == [running]
    kinds = {job["id"]: job["kind"] for job in listed(api)["jobs"]}
    assert [job["id"] for job in listed(api, kind="train")["jobs"]] == [each for each in ids if kinds[each] == "train"]
    now = datetime.now(UTC)
    assert len(listed(api, created_after=(now - timedelta(minutes=1)).isoformat())["jobs"]) == 7
    assert listed(api, created_after=(now + timedelta(minutes=1)).isoformat())["jobs"] == []
    assert listed(api, created_before=(now - timedelta(minutes=1)).isoformat())["jobs"] == []
    assert listed(api, status="failed") == {"jobs": [], "next_cursor": None}


@pytest.mark.parametrize(
    "parameters",
    [
        {"status": "lost"},
        {"kind": "x"},
        {"limit": 0},
        {"limit": 101},
        {"cursor": "x"},
        {"created_after": "2026-01-01"},
        {"created_before": "0.5"},
    ],
)
def test_an_invalid_filter_is_rejected(api: Api, parameters: dict[str, Any]) -> None:
    assert httpx.get(f"{api.url}/jobs", params=parameters).status_code == 422


def test_a_job_whose_record_expired_is_no_longer_listed(api: Api, store: JobStore) -> None:
    first, *others = made(store, 3)
    api.redis.delete(job_key(first))
    assert [job["id"] for job in listed(api)["jobs"]] == others
