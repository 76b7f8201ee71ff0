"""A job past its deadline expires if it is queued, is canceled if it runs, and is never started."""

import httpx
import pytest
import redis

from service.contract.record import Job, JobMetrics
from service.contract.states import JobStatus
from service.store.keys import DEADLINES, job_key
from service.store.queue import JobQueue
from tests.clocks import now_ms
from tests.conftest import Api
from tests.datasets import training
from tests.jobs import LOST, OUTPUT, JobStore, found, new_job, retaken, step, taken
from worker.reaper import Reaper


@pytest.fixture
def reaper(store: JobStore, redis_port: int) -> Reaper:
    return Reaper(
        jobs=store, queue=JobQueue(f"redis://127.0.0.1:{redis_port}/0"), name="worker-1", interval_seconds=0.05
    )


def limited(job_id: str = "job_1", seconds_ago: int = 0) -> Job:
    return new_job(job_id, seconds_ago).model_copy(update={"cancel_after_seconds": 3600})


def pass_deadline(client: redis.Redis, job_id: str) -> None:
    """Move a job's deadline into the past."""
    client.hset(job_key(job_id), "deadline_ms", now_ms(client) - 1)
    client.zadd(DEADLINES, {job_id: now_ms(client) - 1})


def error_code(job: Job) -> str | None:
    return job.error.code if job.error else None


def test_the_deadline_counts_from_acceptance_on_the_clock_of_redis(store: JobStore, redis_client: redis.Redis) -> None:
    before = now_ms(redis_client)
    store.submissions.create(limited(seconds_ago=7200))
    deadline = found(store, "job_1").deadline
    assert deadline is not None
    assert before <= deadline.timestamp() * 1000 - 3_600_000 <= now_ms(redis_client)
    store.submissions.create(new_job("job_2"))
    assert found(store, "job_2").deadline is None
    assert store.recovery.past_deadline() == []


def test_a_job_that_is_still_queued_expires(store: JobStore, redis_client: redis.Redis, reaper: Reaper) -> None:
    store.submissions.create(limited())
    reaper.round()
    assert found(store, "job_1").status is JobStatus.QUEUED
    pass_deadline(redis_client, "job_1")
    reaper.round()
    job = found(store, "job_1")
    assert (job.status, error_code(job), job.attempt) == (JobStatus.EXPIRED, "DEADLINE.PASSED", 0)
    assert job.finished_at is not None
    assert store.queries.events("job_1")[-1].type == "job.expired"
    assert store.queries.events("job_1")[-1].data["code"] == "DEADLINE.PASSED"
    assert 0 < int(redis_client.ttl(job_key("job_1"))) <= 7 * 86_400


def test_a_running_job_past_its_deadline_is_canceled(
    store: JobStore, redis_client: redis.Redis, reaper: Reaper
) -> None:
    job = taken(store, limited())
    pass_deadline(redis_client, job.id)
    reaper.round()
    refused = store.attempts.report_progress(job, step(1))
    assert (refused.happened, refused.status) == (False, JobStatus.CANCELING)
    assert store.attempts.release(job).status is JobStatus.CANCELED
    ended = found(store, job.id)
    assert (ended.status, error_code(ended)) == (JobStatus.CANCELED, "DEADLINE.PASSED")


def test_a_job_past_its_deadline_is_never_dequeued(store: JobStore, redis_client: redis.Redis) -> None:
    for age, job_id in ((30, "job_1"), (20, "job_2"), (10, "job_3")):
        store.submissions.create(limited(job_id, age))
    pass_deadline(redis_client, "job_1")
    pass_deadline(redis_client, "job_2")
    assert retaken(store, "job_3").attempt == 1
    assert [found(store, job_id).status for job_id in ("job_1", "job_2")] == [JobStatus.EXPIRED] * 2
    store.submissions.create(limited("job_4"))
    pass_deadline(redis_client, "job_4")
    assert store.attempts.dequeue("animate", "worker") is None


def test_a_job_released_after_its_deadline_is_not_started_again(store: JobStore, redis_client: redis.Redis) -> None:
    job = taken(store, limited())
    pass_deadline(redis_client, job.id)
    store.attempts.release(job)
    assert store.attempts.dequeue("animate", "worker") is None
    assert found(store, job.id).status is JobStatus.EXPIRED


def test_another_reaper_completes_what_one_left_when_it_died(
    store: JobStore, redis_client: redis.Redis, reaper: Reaper
) -> None:
    store.submissions.create(limited("job_1"))
    running = taken(store, limited("job_2", seconds_ago=9))
    for job_id in ("job_1", "job_2", "job_gone"):
        pass_deadline(redis_client, job_id)
    redis_client.delete(job_key("job_gone"))
    store.recovery.expire("job_1")
    reaper.round()
    reaper.round()
    assert [found(store, each).status for each in ("job_1", "job_2")] == [JobStatus.EXPIRED, JobStatus.CANCELING]
    assert [event.type for event in store.queries.events("job_2")].count("job.canceling") == 1
    assert redis_client.zcard(DEADLINES) == 0
    store.attempts.release(running)


@pytest.mark.parametrize("end", ["succeed", "fail", "cancel"])
def test_an_ended_job_has_no_pending_deadline(store: JobStore, redis_client: redis.Redis, end: str) -> None:
    job = taken(store, limited())
    {
        "succeed": lambda: store.attempts.succeed(job, OUTPUT, JobMetrics()),
        "fail": lambda: store.attempts.fail(job, LOST),
        "cancel": lambda: store.cancel(job),
    }[end]()
    assert redis_client.zcard(DEADLINES) == 0
    assert error_code(found(store, job.id)) != "DEADLINE.PASSED"


@pytest.mark.parametrize(("header", "seconds"), [("90s", 90), ("5m", 300), ("1h", 3600)])
def test_every_request_that_creates_a_job_accepts_a_deadline(api: Api, photo: bytes, header: str, seconds: int) -> None:
    headers = {"Cancel-After": header}
    form = {"data": {"prompt": "waves"}, "files": {"image": ("photo.jpg", photo)}}
    made = httpx.post(f"{api.url}/animate", headers=headers, **form)  # type: ignore[arg-type]
    again = httpx.post(f"{api.url}/jobs/{made.json()['id']}/rerun", headers=headers)
    data = api.storage_folder / "data" / "datasets" / "waves"
    data.mkdir(parents=True)
    (data / "clip.mp4").write_bytes(b"a video")
    trained = httpx.post(f"{api.url}/train", headers=headers, json=training("datasets/waves/").model_dump(mode="json"))
    store = JobStore(api.redis)
    for answer in (made, again, trained):
        assert answer.status_code == 202, answer.text
        job = found(store, answer.json()["id"])
        assert job.deadline is not None
        assert answer.json()["deadline"] == job.deadline.isoformat().replace("+00:00", "Z")
        assert abs((job.deadline - job.created_at).total_seconds() - seconds) < 20


@pytest.mark.parametrize("header", ["90", "0s", "-5s", "1.5m", "soon", "5d", "99999999999s", "٣s"])
def test_an_invalid_deadline_is_rejected(api: Api, photo: bytes, header: str) -> None:
    answer = httpx.post(
        f"{api.url}/animate",
        headers={b"Cancel-After": header.encode()},
        data={"prompt": "waves"},
        files={"image": ("photo.jpg", photo)},
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "#/cancel-after"
    assert api.queued() == 0
