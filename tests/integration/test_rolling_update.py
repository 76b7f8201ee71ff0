"""While two versions run side by side, each reads what the other wrote, or leaves it to the other."""

import json
from typing import Any

import pytest
import redis

from service.contract.record import JobMetrics
from service.contract.states import JobStatus
from service.store.keys import DEADLINES, KEYS, LEASES, REMOVALS, WAKEUPS, job_key, tenant_key
from service.store.queries import JobFilter, RecordUnreadable
from service.store.queue import JobQueue
from service.store.retention import Retention
from service.store.tenants import Scope, Tenant, TenantStore
from service.webhooks.endpoints import EndpointStore, endpoints_key
from tests.clocks import now_ms
from tests.jobs import OUTPUT, JobStore, found, new_job, new_training, step, taken
from worker.reaper import Reaper

UNKNOWN = {"sampler": "of-another-version"}


def change(client: redis.Redis, job_id: str, field: str, path: tuple[str, ...], more: dict[str, Any]) -> None:
    """Write members into a structured field of a record, at some depth."""
    stored: Any = client.hget(job_key(job_id), field)
    whole = json.loads(stored)
    place = whole
    for name in path:
        place = place[name]
    place.update(more)
    client.hset(job_key(job_id), field, json.dumps(whole))


def spoil(client: redis.Redis, job_id: str) -> None:
    """Make a record require something that this version cannot do."""
    change(client, job_id, "request", (), UNKNOWN)


@pytest.fixture
def reaper(store: JobStore, redis_port: int) -> Reaper:
    queue = JobQueue(f"redis://127.0.0.1:{redis_port}/0")
    return Reaper(jobs=store, queue=queue, name="worker-1", interval_seconds=0.05)


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("request", ()),
        ("options", ()),
        ("progress", ()),
        ("metrics", ()),
        ("output", ()),
        ("output", ("video",)),
    ],
)
def test_fields_that_a_newer_version_added_to_a_record_are_ignored(
    store: JobStore, redis_client: redis.Redis, field: str, path: tuple[str, ...]
) -> None:
    job = taken(store, new_job())
    store.attempts.report_progress(job, step(1))
    store.attempts.succeed(job, OUTPUT, JobMetrics())
    before = found(store, job.id)
    change(redis_client, job.id, field, path, {"added": {"later": 1}})
    redis_client.hset(job_key(job.id), "added", "later")
    assert found(store, job.id) == before


def test_events_that_only_a_newer_version_knows_are_ignored(store: JobStore, redis_client: redis.Redis) -> None:
    store.submissions.create(new_job())
    change(redis_client, "job_1", "options", (), {"webhook_events": ["job.paused", "job.failed"]})
    assert found(store, "job_1").options.webhook_events == ("job.failed",)


def test_fields_added_to_the_parts_of_a_training_are_ignored(store: JobStore, redis_client: redis.Redis) -> None:
    job = new_training()
    store.submissions.create(job)
    for path in ((), ("data",), ("optimizer",)):
        change(redis_client, job.id, "request", path, {"added": True})
    assert found(store, job.id).request == job.request


def test_fields_added_to_tenants_keys_and_endpoints_are_ignored(redis_client: redis.Redis) -> None:
    tenants, endpoints = TenantStore(redis_client), EndpointStore(redis_client)
    tenants.put(Tenant(name="acme", max_running=2))
    key, _ = tenants.create_key("acme", frozenset({Scope.ANIMATE}))
    endpoint = endpoints.add("acme", "https://acme.example/hook")
    redis_client.hset(tenant_key("acme"), "added", 1)
    for name in (KEYS, endpoints_key("acme")):
        stored: Any = redis_client.hgetall(name)
        for field, text in stored.items():
            redis_client.hset(name, field, json.dumps({**json.loads(text), "added": 1}))
    assert tenants.get("acme").max_running == 2
    assert tenants.list_keys() == [key]
    assert endpoints.of_tenant("acme") == [endpoint]
    assert endpoints.enable("acme", endpoint.id)
    kept: Any = redis_client.hget(endpoints_key("acme"), endpoint.id)
    assert json.loads(kept)["added"] == 1
    assert not endpoints.enable("acme", "ep_gone")


def test_an_unreadable_job_does_not_keep_the_reaper_from_others(
    store: JobStore, redis_client: redis.Redis, reaper: Reaper
) -> None:
    for kind in ("lost", "late", "waits"):
        for name in (f"job_{kind}_1", f"job_{kind}_2"):
            store.submissions.create(new_job(name))
            if kind == "lost":
                assert store.attempts.dequeue("animate", "worker") is not None
    redis_client.zadd(DEADLINES, {"job_late_1": 1, "job_late_2": 2})
    redis_client.zadd(LEASES, {"job_lost_1": 1, "job_lost_2": 2})
    redis_client.zadd(WAKEUPS, {"job_waits_1": 1, "job_waits_2": 2})
    for kind in ("late", "lost", "waits"):
        spoil(redis_client, f"job_{kind}_1")
    reaper.round()
    assert found(store, "job_late_2").status is JobStatus.EXPIRED
    assert found(store, "job_lost_2").status is JobStatus.QUEUED
    reported = 3  # Of both that wait, which needs no reading, and of the one that was put back.
    assert redis_client.llen("animate") == reported
    assert redis_client.exists("{cinemo}:reaper:round")


def test_an_unreadable_job_is_omitted_from_lists(store: JobStore, redis_client: redis.Redis) -> None:
    for name in ("job_1", "job_2", "job_3"):
        store.submissions.create(new_job(name))
    spoil(redis_client, "job_2")
    assert [job.id for job in store.queries.page("default", JobFilter(), None, 10).jobs] == ["job_3", "job_1"]
    with pytest.raises(RecordUnreadable, match="job_2"):
        store.queries.get("job_2")


def test_an_unreadable_job_keeps_its_files_without_blocking_the_sweeper(
    store: JobStore, redis_client: redis.Redis, retention: Retention
) -> None:
    for name in ("job_1", "job_2"):
        store.attempts.succeed(taken(store, new_job(name)), OUTPUT, JobMetrics())
    redis_client.zadd(REMOVALS, {"default:job_1": 1, "default:job_2": 2})
    spoil(redis_client, "job_1")
    retention.round()
    assert found(store, "job_2").data_removed
    due = redis_client.zscore(REMOVALS, "default:job_1")
    assert due is not None
    assert due > now_ms(redis_client), "it would be the first of each round"


def test_an_unreadable_job_past_its_deadline_does_not_block_the_queue(
    store: JobStore, redis_client: redis.Redis
) -> None:
    store.submissions.create(new_job("job_1", seconds_ago=9))
    store.submissions.create(new_job("job_2"))
    redis_client.hset(job_key("job_1"), "deadline_ms", 1)
    spoil(redis_client, "job_1")
    with pytest.raises(RecordUnreadable):
        store.attempts.dequeue("animate", "worker")
    job = store.attempts.dequeue("animate", "worker")
    assert job is not None
    assert job.id == "job_2"
