"""The job record under contention: every change checks the state it leaves and the attempt that asks."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis

from service.errors import QueueUnavailable
from service.jobs.model import AnimateRequest, Job, JobError, JobMetrics, JobOutput, JobStatus, StoredFile, StoredVideo
from service.jobs.store import JobStore, connect, job_key

FILE = StoredFile(key="k", content_type="image/jpeg", bytes=1, sha256="0")
VIDEO = StoredVideo(**FILE.model_dump(), width=144, height=96, frames=16, fps=8, seconds=2)
OUTPUT = JobOutput(video=VIDEO, poster=FILE, manifest=FILE)
LOST = JobError(code="WORKER.LOST", message="it is gone", retryable=True)


def new_job(job_id: str = "job_1", seconds_ago: int = 0) -> Job:
    created = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    request = AnimateRequest(prompt="waves ~ \u6ce2", seed=1, num_inference_steps=4, guidance_scale=2, model="tiny")
    return Job(id=job_id, created_at=created, expires_at=created + timedelta(days=7), input_key="i", request=request)


@pytest.fixture
def store(redis_client: redis.Redis) -> JobStore:
    return JobStore(redis_client)


def test_what_is_created_is_read_back(store: JobStore) -> None:
    job = new_job()
    store.create(job)
    assert store.get(job.id) == job.model_copy(update={"queue_position": 1})
    assert store.get("job_unknown") is None


def test_a_record_is_dropped_when_it_expires(store: JobStore, redis_client: redis.Redis) -> None:
    job = new_job()
    store.create(job)
    assert 7 * 86_400 - 60 < int(redis_client.ttl(job_key(job.id))) <= 7 * 86_400


def test_waiting_jobs_know_their_place_in_the_line(store: JobStore) -> None:
    for age, job_id in ((10, "job_b"), (20, "job_a"), (0, "job_c")):
        store.create(new_job(job_id, age))
    assert store.take("job_a", "worker") is not None
    places = [job.queue_position for job in map(store.get, ("job_a", "job_b", "job_c")) if job]
    assert places == [None, 1, 2]


def test_a_job_runs_from_the_queue_to_its_output(store: JobStore) -> None:
    store.create(new_job(seconds_ago=3))
    taken = store.take("job_1", "worker-7")
    assert taken is not None
    assert (taken.status, taken.attempt, taken.worker) == (JobStatus.RUNNING, 1, "worker-7")
    assert taken.metrics.queue_ms is not None
    assert 3000 <= taken.metrics.queue_ms < 60_000
    assert store.report_progress("job_1", 1, 1, 4, "one")
    assert store.succeed("job_1", 1, OUTPUT, JobMetrics(queue_ms=1, execution_ms=2, gpu_ms=3))
    ended = store.get("job_1")
    assert ended is not None
    assert (ended.status, ended.output) == (JobStatus.SUCCEEDED, OUTPUT)
    assert ended.progress is not None
    assert ended.progress.fraction == 0.25
    assert ended.finished_at is not None


def test_of_many_that_take_a_job_one_gets_it(store: JobStore) -> None:
    store.create(new_job())
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda number: store.take("job_1", f"worker-{number}"), range(32)))
    winners = [job for job in taken if job is not None]
    assert len(winners) == 1
    assert winners[0].attempt == 1


def test_an_attempt_that_does_not_hold_the_job_changes_nothing(store: JobStore) -> None:
    store.create(new_job())
    store.take("job_1", "worker")
    before = store.get("job_1")
    assert not store.report_progress("job_1", 2, 1, 4, "stale")
    assert not store.succeed("job_1", 0, OUTPUT, JobMetrics())
    assert not store.fail("job_1", 7, LOST)
    assert store.get("job_1") == before


def test_an_ended_job_stays_as_it_ended(store: JobStore) -> None:
    store.create(new_job())
    store.take("job_1", "worker")
    assert store.fail("job_1", 1, LOST)
    before = store.get("job_1")
    assert store.take("job_1", "worker") is None
    assert not store.succeed("job_1", 1, OUTPUT, JobMetrics())
    assert not store.report_progress("job_1", 1, 2, 4, "late")
    assert store.get("job_1") == before


def test_a_taken_id_is_not_written_over(store: JobStore) -> None:
    store.create(new_job())
    store.take("job_1", "worker")
    before = store.get("job_1")
    store.create(new_job())
    assert store.get("job_1") == before


def test_a_redis_that_does_not_answer_is_told_apart() -> None:
    store = JobStore(connect("redis://127.0.0.1:1/0"))
    for ask in (store.ping, lambda: store.get("job_1"), lambda: store.create(new_job())):
        with pytest.raises(QueueUnavailable):
            ask()
