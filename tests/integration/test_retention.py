"""A job's files are deleted on time or on request, whichever process dies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis

from service.contract.problems import StorageUnavailable
from service.contract.record import Job, JobMetrics, ModelOutput, StoredFile, Training, new_job_id
from service.contract.states import JobStatus
from service.storage import LocalStore
from service.store.keys import (
    CALL,
    INDEX,
    KEPT,
    LEASES,
    NAMESPACE,
    REMOVALS,
    UNLISTED,
    events_key,
    idempotency_key,
    index_key,
    job_key,
)
from service.store.retention import Retention
from service.store.submissions import ANNOUNCED_SECONDS
from service.store.tenants import Tenant, TenantStore
from tests.clocks import now_ms
from tests.conftest import Api
from tests.integration.expiry import Fragile, fill, kept, pass_time
from tests.jobs import LOST, OUTPUT, TIMINGS, JobStore, found, new_job, new_training, retaken, taken
from worker import cleanup

MODEL = ModelOutput(model="waves@0123456789ab", first_loss=1, last_loss=0.5)


def succeeded(store: JobStore, job_id: str) -> Job:
    job = taken(store, new_job(job_id))
    store.attempts.succeed(job, OUTPUT, JobMetrics())
    return found(store, job_id)


def test_files_are_deleted_after_their_retention_and_the_record_stays(
    store: JobStore, redis_client: redis.Redis, storage: Fragile, retention: Retention
) -> None:
    succeeded(store, "job_old")
    store.submissions.create(new_job("job_waiting"))
    pass_time(redis_client, REMOVALS)
    succeeded_later = taken(store, new_job("job_new", seconds_ago=9))
    store.attempts.succeed(succeeded_later, OUTPUT, JobMetrics())
    for job_id in ("job_old", "job_new", "job_waiting"):
        fill(storage, job_id)
    retention.round()
    assert kept(storage) == {"job_new", "job_waiting"}
    old, new = found(store, "job_old"), found(store, "job_new")
    assert (old.status, old.data_removed, old.output, old.input_key) == (JobStatus.SUCCEEDED, True, None, None)
    assert old.request == new.request
    assert (new.data_removed, new.output) == (False, OUTPUT)
    assert redis_client.zscore(REMOVALS, "default:job_new") == pytest.approx(
        now_ms(redis_client) + 3 * 86_400_000, abs=9e4
    )


def test_files_are_not_kept_longer_than_the_record(redis_client: redis.Redis) -> None:
    store = JobStore(redis_client, replace(TIMINGS, retention=100, data_retention=1000))
    succeeded(store, "job_1")
    assert redis_client.zscore(REMOVALS, "default:job_1") == pytest.approx(now_ms(redis_client) + 100_000, abs=9e4)


@pytest.mark.parametrize("deletes_before_it_dies", [0, 1, 2])
def test_another_sweeper_completes_what_one_left_when_it_died(
    store: JobStore, redis_client: redis.Redis, storage: Fragile, retention: Retention, deletes_before_it_dies: int
) -> None:
    succeeded(store, "job_1")
    fill(storage, "job_1")
    pass_time(redis_client, REMOVALS)
    storage.deletes_left = deletes_before_it_dies
    with pytest.raises(StorageUnavailable):
        retention.remove("default", "job_1")
    assert found(store, "job_1").output is None, "nobody is sent to what may be gone"
    storage.deletes_left = 100
    retention.round()
    assert kept(storage) == set()
    assert redis_client.zcard(REMOVALS) == 0
    assert storage.deletes_left == 97
    retention.round()
    assert storage.deletes_left == 97, "what is confirmed is not looked at again"


def test_files_are_deleted_even_if_their_record_expired_before_a_sweep(
    store: JobStore, redis_client: redis.Redis, storage: Fragile, retention: Retention
) -> None:
    succeeded(store, "job_1")
    fill(storage, "job_1")
    pass_time(redis_client, REMOVALS)
    redis_client.delete(job_key("job_1"))
    retention.round()
    assert kept(storage) == set()
    assert redis_client.zcard(INDEX + "default") == 0


def test_a_job_leaves_the_list_when_its_record_expires(
    store: JobStore, redis_client: redis.Redis, retention: Retention
) -> None:
    for job_id in ("job_1", "job_2"):
        succeeded(store, job_id)
    pass_time(redis_client, REMOVALS)
    retention.round()
    assert redis_client.zcard(INDEX + "default") == 2
    expected = now_ms(redis_client) + 7 * 86_400_000
    assert redis_client.zscore(UNLISTED, "default:job_1") == pytest.approx(expected, abs=9e4)
    redis_client.delete(job_key("job_1"))
    redis_client.zadd(UNLISTED, {"default:job_1": 1})
    retention.round()
    assert redis_client.zrange(INDEX + "default", 0, -1) == [b"job_2"]
    assert redis_client.zrange(UNLISTED, 0, -1) == [b"default:job_2"]


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_files_of_unsuccessful_jobs_are_deleted_too(
    store: JobStore, redis_client: redis.Redis, storage: Fragile, retention: Retention, end: str
) -> None:
    if end == "fail":
        store.attempts.fail(taken(store, new_job()), LOST)
    else:
        store.submissions.create(new_job())
        store.cancel(found(store, "job_1"))
    fill(storage, "job_1")
    pass_time(redis_client, REMOVALS)
    retention.round()
    assert kept(storage) == set()
    assert found(store, "job_1").data_removed


def test_a_trainings_model_is_kept(
    store: JobStore, redis_client: redis.Redis, storage: Fragile, retention: Retention
) -> None:
    job = taken(store, new_training())
    curves = StoredFile(key="jobs/job_t/1/tensorboard/x", content_type="x", bytes=1, sha256="0")
    store.attempts.report_training(job, Training(tensorboard=(curves,)), "checkpoint", {})
    store.attempts.succeed(job, MODEL, JobMetrics())
    storage.put_bytes("models/waves/0123456789ab/model.json", b"{}", "application/json")
    fill(storage, "job_t")
    pass_time(redis_client, REMOVALS)
    retention.round()
    assert kept(storage) == set()
    assert storage.list("models/")
    ended = found(store, "job_t")
    assert (ended.output, ended.training, ended.data_removed) == (MODEL, None, True)


def test_attempts_that_lost_their_lease_leave_no_files(store: JobStore, storage: Fragile) -> None:
    first = taken(store, new_job())
    store.attempts.release(first)
    second = retaken(store, "job_1")
    fill(storage, "job_1")
    cleanup.clear(first, store, storage)
    assert list(storage.list("jobs/")) == ["jobs/job_1/2/video.mp4"]
    fill(storage, "job_1")
    store.attempts.succeed(second, OUTPUT, JobMetrics())
    cleanup.clear(second, store, storage)
    assert list(storage.list("jobs/")) == ["jobs/job_1/2/video.mp4"]


def test_a_canceled_attempt_leaves_no_files_and_an_unreadable_record_blocks_nothing(
    store: JobStore, storage: Fragile
) -> None:
    job = taken(store, new_job())
    fill(storage, "job_1")
    store.cancel(job)
    store.attempts.succeed(job, OUTPUT, JobMetrics())
    storage.deletes_left = 0
    cleanup.clear(job, store, storage)
    storage.deletes_left = 1
    cleanup.clear(job, store, storage)
    assert list(storage.list("jobs/")) == ["jobs/job_1/2/video.mp4"]


def test_input_of_a_job_that_was_never_created_is_deleted_after_an_hour(
    store: JobStore, redis_client: redis.Redis, storage: Fragile, retention: Retention
) -> None:
    made, dropped = store.submissions.announce("default"), store.submissions.announce("default")
    for job_id in (made, dropped):
        fill(storage, job_id)
    assert redis_client.zscore(REMOVALS, f"default:{made}") == pytest.approx(
        now_ms(redis_client) + ANNOUNCED_SECONDS * 1000, abs=9e4
    )
    store.submissions.create(new_job(made))
    pass_time(redis_client, REMOVALS)
    retention.round()
    assert kept(storage) == {made}
    assert redis_client.zcard(REMOVALS) == 0


def test_a_training_keeps_its_states_until_its_success_is_recorded(
    store: JobStore, redis_client: redis.Redis, storage: Fragile
) -> None:
    first = taken(store, new_training())
    fill(storage, "job_t")
    redis_client.zadd(LEASES, {first.id: 1})
    store.recovery.reap(first.id)
    second = retaken(store, first.id)
    cleanup.clear(first, store, storage)
    assert storage.list("checkpoints/")
    store.attempts.succeed(second, MODEL, JobMetrics())
    storage.deletes_left = 0
    cleanup.clear(second, store, storage)
    assert found(store, first.id).status is JobStatus.SUCCEEDED
    storage.deletes_left = 1
    cleanup.clear(second, store, storage)
    assert storage.list("checkpoints/") == {}
    assert len(storage.list("jobs/")) == 2, "what its attempts show stays"


def delete(api: Api, job_id: str) -> httpx.Response:
    return httpx.delete(f"{api.url}/jobs/{job_id}")


@pytest.fixture
def posted(api: Api, photo: bytes) -> dict[str, Any]:
    answer = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": ("photo.jpg", photo)})
    job: dict[str, Any] = answer.json()
    return job


def test_requests_that_a_full_queue_rejects_leave_no_input_behind(
    api: Api, posted: dict[str, Any], photo: bytes
) -> None:
    TenantStore(api.redis).put(Tenant(name="default", max_waiting=0))
    files = {"image": ("photo.jpg", photo)}
    refused = [
        httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files=files),
        httpx.post(f"{api.url}/edit", files={**files, "video": ("video.gif", b"GIF89a")}),
        httpx.post(f"{api.url}/jobs/{posted['id']}/rerun"),
    ]
    assert {answer.status_code for answer in refused} == {429}
    storage = LocalStore(api.storage_folder, api.url, "key")
    assert len(kept(storage)) == 1 + 2, "a rerun stores nothing"
    pass_time(api.redis, REMOVALS)
    Retention(JobStore(api.redis).removals, storage).round()
    assert kept(storage) == {posted["id"]}


def test_deleting_a_queued_job_cancels_it_and_deletes_its_photo(api: Api, posted: dict[str, Any]) -> None:
    assert [path.name for path in api.storage_folder.glob("data/inputs/*/*")] == ["image.jpg"]
    for _ in range(2):
        answer = delete(api, posted["id"])
        assert (answer.status_code, answer.content) == (204, b"")
        assert list(api.storage_folder.glob("data/inputs/*/*")) == []
    job = httpx.get(f"{api.url}/jobs/{posted['id']}").json()
    assert (job["status"], job["data_removed"], job["output"]) == ("canceled", True, None)
    assert JobStore(api.redis).attempts.dequeue("animate", "worker") is None
    again = httpx.post(f"{api.url}/jobs/{posted['id']}/rerun")
    assert (again.status_code, again.json()["code"]) == (410, "JOB.DATA_REMOVED")


def test_deleting_a_running_job_cancels_it_and_deletes_its_files_once_it_has_stopped(
    api: Api, posted: dict[str, Any]
) -> None:
    store = JobStore(api.redis)
    storage = LocalStore(api.storage_folder, api.url, "key")
    job = retaken(store, posted["id"])
    for _ in range(2):
        answer = delete(api, posted["id"])
        assert (answer.status_code, answer.json()["status"]) == (202, "canceling")
    storage.put_bytes(f"jobs/{job.id}/1/video.mp4", b"it was nearly done", "video/mp4")
    retention = Retention(store.removals, storage)
    retention.round()
    assert kept(storage) == {job.id}
    store.attempts.release(job)
    retention.round()
    assert kept(storage) == set()
    assert found(store, job.id).data_removed
    assert delete(api, job.id).status_code == 204


def test_deleting_a_finished_job_deletes_its_output(api: Api) -> None:
    store = JobStore(api.redis)
    job = succeeded(store, new_job_id())
    storage = LocalStore(api.storage_folder, api.url, "key")
    fill(storage, job.id)
    assert delete(api, job.id).status_code == 204
    assert kept(storage) == set()
    shown = httpx.get(f"{api.url}/jobs/{job.id}").json()
    assert (shown["status"], shown["output"], shown["data_removed"]) == ("succeeded", None, True)


def mentions(client: redis.Redis, job_id: str) -> set[str]:
    """Keys that are named after a job or contain its ID, except for calls, which expire with a lease."""
    reads: dict[Any, Callable[[Any], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
    }
    keys = set(client.scan_iter(f"{NAMESPACE}*")) - set(client.scan_iter(f"{CALL}*"))
    return {key.decode() for key in keys if job_id in f"{key!r} {reads[client.type(key)](key)!r}"}


def test_only_the_record_of_a_deleted_job_stays_in_redis(api: Api, photo: bytes) -> None:
    store, client = JobStore(api.redis), api.redis
    first = httpx.post(
        f"{api.url}/animate",
        data={"prompt": "waves", "preview": "true"},
        files={"image": ("photo.jpg", photo)},
        headers={"Idempotency-Key": "order-1", "Cancel-After": "1h"},
    ).json()["id"]
    again = httpx.post(f"{api.url}/jobs/{first}/rerun").json()["id"]
    store.attempts.succeed(retaken(store, first), OUTPUT, JobMetrics(), digest="digest")
    lost = retaken(store, again)
    assert store.previews.put(lost, b"picture", {"step": 1})
    client.zadd(LEASES, {again: 1})
    store.recovery.reap(again)
    for job_id in (again, first):
        assert delete(api, job_id).status_code == 204
        key = {idempotency_key("default", "order-1")} if job_id == first else set()
        stays = {job_key(job_id), events_key(job_id), index_key("default"), UNLISTED, KEPT + "default"}
        assert mentions(client, job_id) == stays | key
        assert [each for each in client.hkeys(KEPT + "default") if job_id.encode() in each] == [
            f"records/{job_id}".encode()
        ]


def test_jobs_of_others_and_unknown_ones_cannot_be_deleted(api: Api) -> None:
    store = JobStore(api.redis)
    theirs = new_job(new_job_id()).model_copy(update={"tenant": "acme"})
    store.submissions.create(theirs)
    for job_id in (theirs.id, new_job_id()):
        assert delete(api, job_id).status_code == 404
    assert found(store, theirs.id).status is JobStatus.QUEUED
