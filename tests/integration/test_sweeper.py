"""The sweeper keeps up with many jobs: it deletes concurrently, and no failure delays others."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from service.storage import LocalStore
from service.storage.deletion import CONCURRENT_DELETIONS, POSTPONED_SECONDS
from service.store.keys import REMOVALS, UPLOADS
from service.store.retention import MAX_REMOVED, Retention
from service.store.uploads import MAX_SWEPT, Uploads
from tests.clocks import now_ms
from tests.integration.expiry import Fragile, fill, kept, pass_time
from tests.jobs import JobStore, found, new_job
from worker.sweeper import Sweeper


@dataclass
class Waiting(LocalStore):
    """A storage that answers deletions only once so many are requested, standing in for a slow one."""

    folder: Path
    asked: threading.Barrier

    def __post_init__(self) -> None:
        super().__init__(self.folder, "http://here", "key")

    def delete(self, prefix: str) -> None:
        self.asked.wait(timeout=30)
        super().delete(prefix)


@pytest.fixture
def expired(storage: Fragile, redis_client: redis.Redis) -> Uploads:
    """Uploads that expire at once."""
    return Uploads(storage, redis_client, seconds=-1)


def ended(store: JobStore, count: int) -> list[str]:
    """IDs of so many ended jobs."""
    job_ids = [f"job_{number}" for number in range(count)]
    for job_id in job_ids:
        store.submissions.create(new_job(job_id))
        store.cancel(found(store, job_id))
    return job_ids


def test_a_round_handles_a_limited_number(store: JobStore, redis_client: redis.Redis, retention: Retention) -> None:
    ended(store, MAX_REMOVED + 10)
    pass_time(redis_client, REMOVALS)
    assert retention.round(), "there is more"
    assert redis_client.zcard(REMOVALS) == 10
    assert not retention.round()
    assert redis_client.zcard(REMOVALS) == 0


def test_files_of_many_jobs_are_deleted_concurrently(
    store: JobStore, redis_client: redis.Redis, tmp_path: Path
) -> None:
    storage = Waiting(tmp_path, threading.Barrier(CONCURRENT_DELETIONS))
    for job_id in ended(store, CONCURRENT_DELETIONS):
        fill(storage, job_id)
    pass_time(redis_client, REMOVALS)
    Retention(store.removals, storage).round()
    assert kept(storage) == set()
    assert redis_client.zcard(REMOVALS) == 0


def test_files_that_cannot_be_deleted_block_no_others_and_are_retried_later(
    store: JobStore, redis_client: redis.Redis, storage: Fragile, retention: Retention
) -> None:
    for job_id in ended(store, MAX_REMOVED + 1):
        fill(storage, job_id)
    pass_time(redis_client, REMOVALS)
    storage.refused = "/job_0/"
    while retention.round():
        pass
    assert kept(storage) == {"job_0"}
    due = now_ms(redis_client) + POSTPONED_SECONDS * 1000
    assert redis_client.zscore(REMOVALS, "default:job_0") == pytest.approx(due, abs=3e4)
    storage.refused = "no such key"
    pass_time(redis_client, REMOVALS)
    retention.round()
    assert kept(storage) == set()
    assert redis_client.zcard(REMOVALS) == 0


def test_a_storage_outage_ends_a_round_early(
    store: JobStore, redis_client: redis.Redis, storage: Fragile, retention: Retention
) -> None:
    ended(store, MAX_REMOVED + 1)
    pass_time(redis_client, REMOVALS)
    storage.deletes_left = 0
    assert not retention.round()
    assert redis_client.zcard(REMOVALS) == MAX_REMOVED + 1


def test_a_removal_completed_by_another_process_is_not_due_again(store: JobStore, redis_client: redis.Redis) -> None:
    ended(store, 1)
    store.removals.mark("job_0")
    store.removals.confirm("default", "job_0")
    store.removals.postpone("default", "job_0", 60)
    assert redis_client.zcard(REMOVALS) == 0


def test_an_upload_that_cannot_be_deleted_blocks_no_others_and_is_retried_later(
    redis_client: redis.Redis, storage: Fragile, expired: Uploads
) -> None:
    stuck = expired.put("acme", b"data", "image/png").stored.key
    for _ in range(MAX_SWEPT):
        expired.put("acme", b"data", "image/png")
    storage.refused = stuck
    while expired.sweep():
        pass
    assert list(storage.list("uploads/")) == [stuck]
    assert redis_client.zscore(UPLOADS, stuck) == pytest.approx(time.time() + POSTPONED_SECONDS, abs=30)


def test_a_round_of_the_sweeper_deletes_all_due_jobs_files_and_uploads(
    store: JobStore, redis_client: redis.Redis, storage: Fragile, retention: Retention, expired: Uploads
) -> None:
    ended(store, MAX_REMOVED + 1)
    for _ in range(MAX_SWEPT + 1):
        expired.put("acme", b"data", "image/png")
    pass_time(redis_client, REMOVALS)
    Sweeper(jobs=store, name="worker", interval_seconds=60, retention=retention, uploads=expired).round()
    assert redis_client.zcard(REMOVALS) == 0
    assert list(storage.list("uploads/")) == []
