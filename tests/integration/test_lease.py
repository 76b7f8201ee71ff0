"""A thread renews a job's lease; one elected reaper requeues jobs whose lease lapsed."""

import threading
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import pytest
import redis

from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.contract.problems import QueueUnavailable
from service.contract.states import JobStatus
from service.store.connections import connect
from service.store.keys import LEASES, WAKEUPS
from service.store.queue import JobQueue
from tests.jobs import TIMINGS, JobStore, found, new_job, new_training, retaken, taken
from tests.processes import running, wait_until
from worker.elected import SKIPPED_ROUNDS
from worker.lease import hold_lease
from worker.outcome import Canceled, LeaseLost
from worker.reaper import Reaper

LEASE_SECONDS = 0.4


@pytest.fixture
def store(redis_client: redis.Redis) -> JobStore:
    return JobStore(redis_client, replace(TIMINGS, lease=LEASE_SECONDS))


def reaper(store: JobStore, redis_port: int, name: str = "worker-1") -> Reaper:
    return Reaper(jobs=store, queue=JobQueue(f"redis://127.0.0.1:{redis_port}/0"), name=name, interval_seconds=0.05)


def queued(client: redis.Redis, queue: str) -> int:
    return int(client.llen(queue))


def test_a_held_lease_does_not_lapse_however_long_the_work_lasts(store: JobStore, redis_client: redis.Redis) -> None:
    job = taken(store, new_job())
    first = redis_client.zscore(LEASES, job.id)
    assert first is not None
    with hold_lease(job, store, LEASE_SECONDS) as lease:
        wait_until(lambda: (redis_client.zscore(LEASES, job.id) or 0) > first + 2000 * LEASE_SECONDS, 20)
        assert store.recovery.lapsed() == []
        lease.check()
    wait_until(lambda: store.recovery.lapsed() == [job.id], 10)


def test_the_holder_notices_that_its_job_was_canceled(store: JobStore) -> None:
    job = taken(store, new_job())
    with hold_lease(job, store, LEASE_SECONDS) as lease:
        store.cancel(job)
        wait_until(lambda: lease.status is JobStatus.CANCELING, 10)
        with pytest.raises(Canceled):
            lease.check()


def test_the_holder_notices_that_another_attempt_has_its_job(store: JobStore) -> None:
    job = taken(store, new_job())
    with hold_lease(job, store, LEASE_SECONDS) as lease:
        store.attempts.release(job)
        retaken(store, job.id)
        wait_until(lambda: lease.status is None, 10)
        with pytest.raises(LeaseLost):
            lease.check()


def test_a_short_outage_of_redis_does_not_end_the_lease(tmp_path: Path) -> None:
    port = free_port()
    store = JobStore(connect(f"redis://127.0.0.1:{port}/0"), replace(TIMINGS, lease=LEASE_SECONDS))
    command, log = redis_command(port, tmp_path), tmp_path / "log"
    with running(command, log, lambda: answers_ping(port)):
        job = taken(store, new_job())
    with hold_lease(job, store, LEASE_SECONDS) as lease, running(command, log, lambda: answers_ping(port)):
        wait_until(lambda: store.attempts.renew(job) is JobStatus.RUNNING, 10)
        lease.check()
        store.cancel(job)
        wait_until(lambda: lease.status is JobStatus.CANCELING, 10)


def test_a_lapsed_job_is_requeued_and_the_workers_of_its_kind_are_notified(
    store: JobStore, redis_client: redis.Redis, redis_port: int
) -> None:
    job = taken(store, new_training())
    redis_client.zadd(LEASES, {job.id: 1})
    reaper(store, redis_port).round()
    assert found(store, job.id).status is JobStatus.QUEUED
    assert (queued(redis_client, "train"), queued(redis_client, "animate")) == (1, 0)
    assert retaken(store, job.id).attempt == 2


def test_after_a_late_response_the_reaper_gives_workers_time_to_renew(
    store: JobStore, redis_client: redis.Redis, redis_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = taken(store, new_job())
    redis_client.zadd(LEASES, {job.id: 1})
    late = reaper(store, redis_port)
    # The clock stands for a link that was silent for so long and then no more; a busy machine is as silent as one.
    monkeypatch.setattr("worker.elected.monotonic", chain((0, 1.5), repeat(0)).__next__)
    late.round_if_elected()
    for _ in range(SKIPPED_ROUNDS):
        late.round_if_elected()
        assert found(store, job.id).status is JobStatus.RUNNING
    late.round_if_elected()
    assert found(store, job.id).status is JobStatus.QUEUED


def test_workers_are_notified_again_of_a_job_whose_message_was_lost(
    store: JobStore, redis_client: redis.Redis, redis_port: int
) -> None:
    job = new_job()
    store.submissions.create(job)
    reaper(store, redis_port).round()
    assert queued(redis_client, "animate") == 0
    redis_client.zadd(WAKEUPS, {job.id: 1})
    reaper(store, redis_port).round()
    assert queued(redis_client, "animate") == 1


def test_one_of_many_reapers_works_and_another_takes_over(
    store: JobStore, redis_client: redis.Redis, redis_port: int
) -> None:
    first, second = (reaper(store, redis_port, name) for name in ("worker-1", "worker-2"))
    first.start()
    wait_until(lambda: redis_client.get("{cinemo}:reaper") == b"worker-1", 10)
    second.start()
    first.stopped.set()
    wait_until(lambda: redis_client.get("{cinemo}:reaper") == b"worker-2", 10)
    job = taken(store, new_job())
    wait_until(lambda: found(store, job.id).status is JobStatus.QUEUED, 10)
    second.stopped.set()
    wait_until(lambda: not [each for each in threading.enumerate() if each.name == "reaper"], 10)


def test_after_an_outage_the_reaper_gives_workers_time_to_renew(
    store: JobStore, redis_client: redis.Redis, redis_port: int
) -> None:
    one = reaper(store, redis_port)
    one.jobs = JobStore(connect("redis://127.0.0.1:1/0"))
    with pytest.raises(QueueUnavailable):
        one.round_if_elected()
    one.jobs = store
    job = taken(store, new_job())
    redis_client.zadd(LEASES, {job.id: 1})
    for _ in range(SKIPPED_ROUNDS):
        one.round_if_elected()
        assert found(store, job.id).status is JobStatus.RUNNING
    one.round_if_elected()
    assert found(store, job.id).status is JobStatus.QUEUED
