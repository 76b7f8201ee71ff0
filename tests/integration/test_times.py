"""Durations of past jobs give estimates for queued ones and for a full queue."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import redis

from service.contract.problems import QueueFull
from service.contract.record import Job, JobMetrics, new_job_id
from service.store.keys import LEASES, MEASURED, job_key, workers_key
from service.store.tenants import Tenant, TenantStore
from service.store.workers import Worker, WorkerRegistry
from tests.conftest import Api
from tests.jobs import OUTPUT, JobStore, found, new_job, new_training, retaken, taken

STEPS = 4
TIMES = JobMetrics(queue_ms=0, execution_ms=10_000, gpu_ms=8_000)
"""Two seconds a step, and two beside them."""


def job_of(job_id: str, tenant: str = "default", **request: Any) -> Job:
    job = new_job(job_id)
    return job.model_copy(update={"tenant": tenant, "request": job.request.model_copy(update=request)})


def measured(store: JobStore, metrics: JobMetrics = TIMES, **request: Any) -> None:
    """Record a job's durations."""
    job = taken(store, job_of(new_job_id(), **request))
    store.attempts.succeed(job, OUTPUT, metrics)


def greet(client: redis.Redis, queue: str, worker: str) -> None:
    """Register a live worker."""
    WorkerRegistry(client).beat(Worker(id=worker, queues=(queue,), since=datetime.now(UTC)), 60)


def expected(store: JobStore, job: Job) -> int | None:
    store.submissions.create(job)
    return found(store, job.id).expected_seconds


def test_there_is_no_estimate_for_jobs_that_were_never_measured(store: JobStore, redis_client: redis.Redis) -> None:
    greet(redis_client, "animate", "worker")
    assert expected(store, job_of("job_1")) is None
    store.cancel(found(store, "job_1"))
    measured(store)
    assert expected(store, job_of("job_2", detail="off", width=512, height=320)) is None
    assert expected(store, job_of("job_4", width=1920, height=1080)) is None
    assert expected(store, job_of("job_5", frame_rate_factor=1)) is None
    assert expected(store, job_of("job_3", model="other")) is None


def test_there_is_no_estimate_without_live_workers(store: JobStore, redis_client: redis.Redis) -> None:
    measured(store)
    assert expected(store, job_of("job_1")) is None
    greet(redis_client, "train", "trainer")
    assert found(store, "job_1").expected_seconds is None
    greet(redis_client, "animate", "worker")
    assert found(store, "job_1").expected_seconds == 10
    redis_client.zadd(workers_key("animate"), {"worker": 1})
    assert found(store, "job_1").expected_seconds is None
    greet(redis_client, "animate", "another")
    assert redis_client.zrange(workers_key("animate"), 0, -1) == [b"another"]


def test_estimates_scale_with_the_number_of_steps(store: JobStore, redis_client: redis.Redis) -> None:
    greet(redis_client, "animate", "worker")
    measured(store)
    assert expected(store, job_of("job_1", num_inference_steps=20)) == 20 * 2 + 2
    store.cancel(found(store, "job_1"))
    assert expected(store, job_of("job_2", num_inference_steps=1)) == 1 * 2 + 2


def test_a_mean_follows_recent_measurements(store: JobStore, redis_client: redis.Redis) -> None:
    greet(redis_client, "animate", "worker")
    measured(store)
    seen = []
    for number in range(30):
        measured(store, JobMetrics(execution_ms=4_000, gpu_ms=4_000))
        job = job_of(f"job_{number}")
        seen.append(expected(store, job))
        store.cancel(job)
    assert (seen[0], seen[-1]) == (9, 4)
    assert seen == sorted(seen, reverse=True)  # type: ignore[type-var]


def test_the_start_depends_on_the_jobs_ahead_and_the_workers(store: JobStore, redis_client: redis.Redis) -> None:
    greet(redis_client, "animate", "worker-1")
    measured(store)
    taken(store, new_job("job_running"))
    store.submissions.create(job_of("job_1"))
    store.submissions.create(job_of("job_2"))
    assert [found(store, each).expected_seconds for each in ("job_1", "job_2")] == [20, 30]
    greet(redis_client, "animate", "worker-2")
    assert [found(store, each).expected_seconds for each in ("job_1", "job_2")] == [10, 15]


def test_a_job_starts_once_those_ahead_have_left_the_device_and_ends_once_it_is_stored(
    store: JobStore, redis_client: redis.Redis
) -> None:
    greet(redis_client, "animate", "worker")
    first = taken(store, job_of("job_measured"))
    store.attempts.succeed(first, OUTPUT, TIMES, occupied_ms=6_000)
    running = taken(store, new_job("job_running"))
    store.submissions.create(job_of("job_1"))
    store.submissions.create(job_of("job_2"))
    assert [found(store, each).expected_seconds for each in ("job_1", "job_2")] == [6 + 10, 12 + 10]
    store.attempts.leave_device(running)
    assert [found(store, each).expected_seconds for each in ("job_1", "job_2")] == [10, 6 + 10]


def test_running_trainings_delay_no_animation(store: JobStore, redis_client: redis.Redis) -> None:
    greet(redis_client, "animate", "worker")
    measured(store)
    for number in (1, 2):
        taken(store, new_training(f"job_t{number}"))
    assert expected(store, job_of("job_1")) == 10


def test_among_hundreds_of_running_jobs_a_sample_gives_the_share_of_the_kind(
    store: JobStore, redis_client: redis.Redis
) -> None:
    measured(store, JobMetrics(execution_ms=1_000_000))
    redis_client.zadd(workers_key("animate"), {f"worker-{number}": 1e15 for number in range(100)})
    for number in range(400):
        redis_client.hset(job_key(f"job_held_{number}"), "kind", "animate" if number < 80 else "train")
        redis_client.zadd(LEASES, {f"job_held_{number}": number})
    for number in range(20):
        store.submissions.create(job_of(f"job_{number}"))
    assert expected(store, job_of("job_mine")) == 10 + 1000, "one of the hundred has to end first"


def test_another_tenants_jobs_count_only_as_far_as_they_run_first(store: JobStore, redis_client: redis.Redis) -> None:
    greet(redis_client, "animate", "worker")
    measured(store)
    for number in range(30):
        store.submissions.create(job_of(f"job_{number}", tenant="acme"))
    assert expected(store, job_of("job_mine")) == 10 + 10
    assert expected(store, job_of("job_mine_2")) == 30 + 10


def test_a_training_is_estimated_by_its_steps(store: JobStore, redis_client: redis.Redis) -> None:
    greet(redis_client, "train", "trainer")
    job = taken(store, new_training())
    steps = job.request.steps  # type: ignore[union-attr]
    store.attempts.succeed(job, OUTPUT, JobMetrics(execution_ms=1000 * steps))
    assert expected(store, new_training("job_next")) == steps


def test_jobs_that_ran_only_in_part_are_not_measured(store: JobStore, redis_client: redis.Redis) -> None:
    store.attempts.succeed(taken(store, new_job("job_1")), OUTPUT, JobMetrics(execution_ms=50, gpu_ms=0), "d", "job_0")
    again = taken(store, new_job("job_2"))
    store.attempts.release(again)
    store.attempts.succeed(retaken(store, "job_2"), OUTPUT, TIMES)
    canceled = taken(store, new_job("job_3"))
    store.cancel(canceled)
    store.attempts.succeed(canceled, OUTPUT, TIMES)
    assert redis_client.keys(MEASURED + "*") == []


def test_measurements_expire_after_a_month_without_such_jobs(store: JobStore, redis_client: redis.Redis) -> None:
    measured(store)
    keys: Any = redis_client.keys(MEASURED + "*")
    assert len(keys) == 2
    assert all(0 < redis_client.ttl(key) <= 30 * 86_400 for key in keys)


@pytest.mark.parametrize(("workers", "seconds"), [(0, 30), (1, 10), (4, 2)])
def test_a_full_queue_gives_a_retry_after(
    store: JobStore, redis_client: redis.Redis, workers: int, seconds: int
) -> None:
    measured(store)
    for number in range(workers):
        greet(redis_client, "animate", f"worker-{number}")
    TenantStore(redis_client).put(Tenant(name="acme", max_waiting=1))
    store.submissions.create(job_of("job_1", tenant="acme"))
    with pytest.raises(QueueFull) as refused:
        store.submissions.create(job_of("job_2", tenant="acme"))
    assert refused.value.retry_after == seconds


def test_the_response_includes_a_queued_jobs_eta(api: Api) -> None:
    store = JobStore(api.redis)
    job = job_of(new_job_id())
    store.submissions.create(job)
    assert httpx.get(f"{api.url}/jobs/{job.id}").json()["eta"] is None
    measured_first = job_of(new_job_id())
    store.cancel(job)
    store.attempts.succeed(taken(store, measured_first), OUTPUT, TIMES)
    greet(api.redis, "animate", "worker")
    waiting = job_of(new_job_id(), num_inference_steps=99)
    store.submissions.create(waiting)
    eta = datetime.fromisoformat(httpx.get(f"{api.url}/jobs/{waiting.id}").json()["eta"])
    assert 190 < (eta - datetime.now(UTC)).total_seconds() <= 200
