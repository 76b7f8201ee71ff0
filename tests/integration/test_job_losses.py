"""A job whose worker is lost goes to another one, and fails after three losses."""

from dataclasses import replace

import redis

from service.contract.failures import WORKER_DISK_FULL
from service.contract.record import JobMetrics, Training
from service.contract.states import JobStatus
from service.store.keys import LEASES
from tests.jobs import OUTPUT, TIMINGS, JobStore, found, new_job, new_training, retaken, step, taken
from tests.processes import wait_until


def test_a_job_is_requeued_when_its_lease_lapses_and_fails_the_third_time(redis_client: redis.Redis) -> None:
    store = JobStore(redis_client, replace(TIMINGS, lease=0.05))
    store.submissions.create(new_job())
    for losses in (1, 2, 3):
        job = retaken(store, "job_1")
        wait_until(lambda: store.recovery.lapsed() == ["job_1"], 10)
        change = store.recovery.reap("job_1")
        assert change is not None
        assert change.happened
        assert found(store, "job_1").losses == losses
        assert not store.attempts.succeed(job, OUTPUT, JobMetrics()).happened, "it comes too late"
    ended = found(store, "job_1")
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.retryable) == ("WORKER.LOST", True)
    assert store.recovery.lapsed() == []


def test_a_lost_job_is_requeued_and_the_third_time_fails_with_the_last_error(
    store: JobStore, redis_client: redis.Redis
) -> None:
    full = WORKER_DISK_FULL.error("the worker's disk is full")
    job = taken(store, new_job())
    redis_client.zadd(LEASES, {job.id: 1})
    store.recovery.reap(job.id)
    for status in (JobStatus.QUEUED, JobStatus.FAILED):
        assert store.attempts.lose(retaken(store, job.id), full).status is status
    ended = found(store, job.id)
    assert (ended.error, ended.attempt, ended.losses) == (full, 3, 3)


def test_a_lease_renewed_directly_or_by_progress_does_not_lapse(store: JobStore, redis_client: redis.Redis) -> None:
    job = taken(store, new_job())
    for keep in (lambda: store.attempts.renew(job), lambda: store.attempts.report_progress(job, step(1))):
        redis_client.zadd(LEASES, {job.id: 1})
        assert store.recovery.lapsed() == [job.id]
        keep()
        assert store.recovery.lapsed() == []
        change = store.recovery.reap(job.id)
        assert change is not None
        assert not change.happened, "a reaper that looked too early does no harm"
    assert found(store, job.id).status is JobStatus.RUNNING


def test_a_canceled_job_whose_worker_dies_ends_as_canceled(store: JobStore, redis_client: redis.Redis) -> None:
    job = taken(store, new_job())
    store.cancel(job)
    redis_client.zadd(LEASES, {job.id: 1})
    store.recovery.reap(job.id)
    assert found(store, job.id).status is JobStatus.CANCELED


def test_a_checkpoint_resets_the_losses(store: JobStore, redis_client: redis.Redis) -> None:
    job = taken(store, new_training())
    redis_client.zadd(LEASES, {job.id: 1})
    store.recovery.reap(job.id)
    job = retaken(store, job.id)
    assert job.losses == 1
    assert store.attempts.report_training(job, Training(checkpoint_step=2), "checkpoint", {"step": 2}).happened
    assert found(store, job.id).losses == 0
    assert found(store, job.id).training == Training(checkpoint_step=2)


def test_one_reaper_is_elected_at_a_time(store: JobStore) -> None:
    assert store.recovery.elect("worker-1", 60)
    assert not store.recovery.elect("worker-2", 60)
    assert store.recovery.elect("worker-1", 60)
