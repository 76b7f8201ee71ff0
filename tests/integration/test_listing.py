"""What a page of jobs costs Redis, and that its jobs equal those read one by one."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import redis

from service.contract.record import DEFAULT_TENANT, JobMetrics, new_job_id
from service.contract.states import JobStatus
from service.store.keys import index_key, job_key
from service.store.queries import MAX_SCANNED, JobFilter
from service.store.tenants import Tenant, TenantStore
from service.store.workers import Worker, WorkerRegistry
from tests.conftest import Api
from tests.integration.bodies import IMAGE, send
from tests.jobs import OUTPUT, JobStore, new_job, new_training, taken

KINDS = 2
"""Of jobs that wait in these tests."""


def name(number: int) -> str:
    """The ID of a job; greater numbers are newer."""
    return f"job_{number:032x}"


def waiting(store: JobStore, count: int, first: int = 1) -> list[str]:
    """Queued jobs of alternating kinds, newest first."""
    ids = [name(first + number) for number in range(count)]
    for at, job_id in enumerate(ids):
        store.submissions.create(new_training(job_id) if at % KINDS else new_job(job_id))
    return ids[::-1]


@contextmanager
def commands(client: redis.Redis) -> Iterator[list[str]]:
    """Commands that clients send to Redis meanwhile; those within scripts cost no round trip."""
    seen: list[str] = []
    apart = redis.Redis(connection_pool=redis.ConnectionPool(**client.connection_pool.connection_kwargs))
    with apart.monitor() as monitor:
        yield seen
        client.echo("that is all")
        for each in monitor.listen():
            if each["command"] == "ECHO that is all":
                break
            if each["client_type"] != "lua":
                seen.append(each["command"].split(" ")[0])


def test_a_page_takes_a_constant_number_of_round_trips(store: JobStore, redis_client: redis.Redis) -> None:
    waiting(store, 4)
    store.queries.page(DEFAULT_TENANT, JobFilter(), None, 100)
    with commands(redis_client) as of_few:
        assert len(store.queries.page(DEFAULT_TENANT, JobFilter(), None, 100).jobs) == 4
    waiting(store, 96, first=5)
    with commands(redis_client) as of_many:
        assert len(store.queries.page(DEFAULT_TENANT, JobFilter(), None, 100).jobs) == 100
    assert of_few == of_many == ["EVALSHA"] * (1 + KINDS)


def test_jobs_that_a_filter_excludes_take_no_round_trips(store: JobStore, redis_client: redis.Redis) -> None:
    running = taken(store, new_job(name(0)))
    waiting(store, 60)
    store.queries.page(DEFAULT_TENANT, JobFilter(JobStatus.RUNNING), None, 20)
    with commands(redis_client) as sent:
        page = store.queries.page(DEFAULT_TENANT, JobFilter(JobStatus.RUNNING), None, 20)
    assert [job.id for job in page.jobs] == [running.id]
    assert sent == ["EVALSHA"]


def test_listing_over_http_takes_a_constant_number_of_round_trips(api: Api, store: JobStore) -> None:
    ids = waiting(store, 50)
    httpx.get(f"{api.url}/jobs")
    with commands(api.redis) as sent:
        listed = httpx.get(f"{api.url}/jobs", params={"limit": 50}).json()["jobs"]
    assert [job["id"] for job in listed] == ids
    assert sent.count("EVALSHA") == 1 + KINDS
    assert len(sent) < 10


def test_a_job_on_a_page_equals_the_job_read_alone(store: JobStore, redis_client: redis.Redis) -> None:
    WorkerRegistry(redis_client).beat(Worker(id="worker", queues=("animate",), since=datetime.now(UTC)), 60)
    store.attempts.succeed(taken(store, new_job(name(0))), OUTPUT, JobMetrics(execution_ms=10_000, gpu_ms=8_000))
    TenantStore(redis_client).put(Tenant(name="other", weight=3))
    for _ in range(5):
        store.submissions.create(new_job(new_job_id()).model_copy(update={"tenant": "other"}))
    waiting(store, 6)
    jobs = store.queries.page(DEFAULT_TENANT, JobFilter(), None, 100).jobs
    assert jobs == [store.queries.get(job.id) for job in jobs]
    assert [job.queue_position for job in jobs if job.kind == "animate" and job.queue_position] == [3, 2, 1]
    seconds = [job.expected_seconds for job in jobs if job.kind == "animate" and job.queue_position]
    assert seconds == sorted(seconds, key=lambda each: -(each or 0))
    assert None not in seconds


def test_a_page_that_has_scanned_enough_returns_a_cursor(store: JobStore, redis_client: redis.Redis) -> None:
    oldest = taken(store, new_job(name(0)))
    store.submissions.create(new_job(name(1)))
    dropped = [name(2 + number) for number in range(MAX_SCANNED)]
    redis_client.zadd(index_key(DEFAULT_TENANT), dict.fromkeys(dropped, 0))
    page = store.queries.page(DEFAULT_TENANT, JobFilter(JobStatus.RUNNING), None, 20)
    assert (page.jobs, page.next_cursor) == ([], dropped[0])
    page = store.queries.page(DEFAULT_TENANT, JobFilter(JobStatus.RUNNING), page.next_cursor, 20)
    assert ([job.id for job in page.jobs], page.next_cursor) == ([oldest.id], None)
    assert redis_client.zcard(index_key(DEFAULT_TENANT)) == 2
    assert not redis_client.exists(job_key(dropped[0]))


def test_a_page_of_large_records_is_short_and_the_next_one_follows(api: Api) -> None:
    large = {"prompt": ["\u65e5" * 1000] * 16, "clips": 16, "frames": 8, "negative_prompt": "\u65e5" * 1000}
    large["metadata"] = {f"{n}": "\u65e5" * 500 for n in range(50)}
    fields = {"prompt": "waves", "image_base64": IMAGE}
    ids = [send(api, json.dumps({**fields, **large})).json()["id"] for _ in range(20)][::-1]
    ids = [send(api, json.dumps(fields)).json()["id"] for _ in range(2)] + ids

    def pages(
        path: str, cursor: str, read: Callable[[dict[str, Any]], tuple[list[str], str | None]]
    ) -> list[list[str]]:
        found, after = [], None
        while True:
            answer = httpx.get(api.url + path, params={"limit": 100, **({cursor: after} if after else {})}).json()
            names, after = read(answer)
            found.append(names)
            if after is None:
                return found

    def own(answer: dict[str, Any]) -> tuple[list[str], str | None]:
        return [job["id"] for job in answer["jobs"]], answer["next_cursor"]

    def openai(answer: dict[str, Any]) -> tuple[list[str], str | None]:
        names = [video["id"] for video in answer["data"]]
        assert answer["last_id"] == names[-1]
        return names, answer["last_id"] if answer["has_more"] else None

    for found in (pages("/jobs", "cursor", own), pages("/v1/videos", "after", openai)):
        assert [name for page in found for name in page] == sorted(ids, reverse=True)
        assert 3 <= len(found) <= 5, [len(page) for page in found]
