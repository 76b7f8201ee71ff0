"""A tenant's quota counts ended jobs and unused uploads, and is freed as they expire."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from service.contract.record import JobMetrics
from service.storage import LocalStore
from service.store.keys import KEPT, REMOVALS, UNLISTED, UPLOADS, index_key, job_key
from service.store.retention import Retention
from service.store.tenants import Tenant, TenantStore
from service.store.uploads import Uploads
from tests.conftest import Api, api_running
from tests.integration.expiry import pass_time
from tests.integration.isolation.parts import key_of, own_redis
from tests.jobs import OUTPUT, JobStore

RECORDS = 6
LARGE = 3


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("quotas")
    settings = {
        "CINEMO_AUTH": "keys",
        "CINEMO_TENANT_MAX_RECORDS": str(RECORDS),
        "CINEMO_TENANT_MAX_STORED_BYTES": str(LARGE * len(photo) + 1000),
    }
    with own_redis(folder / "redis") as server, api_running(folder, server.port, settings) as api:
        yield api


@pytest.fixture
def key(front: Api) -> dict[str, str]:
    front.redis.flushall()
    return key_of(front.redis, "acme")


def animate(front: Api, key: dict[str, str], photo: bytes) -> httpx.Response:
    form: dict[str, Any] = {"data": {"prompt": "waves"}, "files": {"image": photo}}
    return httpx.post(f"{front.url}/animate", headers=key, timeout=30, **form)


def retention(front: Api) -> Retention:
    return Retention(JobStore(front.redis).removals, LocalStore(front.storage_folder, front.url, "key"))


def kept(client: redis.Redis, tenant: str = "acme") -> dict[str, int]:
    stored: Any = client.hgetall(KEPT + tenant)
    return {name.decode(): int(value) for name, value in stored.items()}


def totals(client: redis.Redis) -> set[int]:
    return {value for name, value in kept(client).items() if name.startswith("total:")}


def refused(answer: httpx.Response) -> bool:
    reported = (answer.status_code, answer.json().get("code"))
    assert reported == (429, "QUOTA.REACHED") or answer.status_code in (201, 202), answer.text
    assert answer.status_code != 429 or int(answer.headers["retry-after"]) > 0
    return answer.status_code == 429


def test_reruns_and_cancellations_in_a_loop_are_limited_and_share_one_input(
    front: Api, key: dict[str, str], photo: bytes
) -> None:
    other = key_of(front.redis, "other")
    first = animate(front, key, photo).json()["id"]
    answers = []
    for _ in range(2 * RECORDS):
        answers.append(httpx.post(f"{front.url}/jobs/{first}/rerun", headers=key, timeout=30))
        if answers[-1].status_code == 202:
            httpx.post(f"{front.url}/jobs/{answers[-1].json()['id']}/cancel", headers=key).raise_for_status()
    assert [refused(each) for each in answers] == [False] * (RECORDS - 1) + [True] * (RECORDS + 1)
    assert len(list(front.storage_folder.glob(f"data/inputs/{first}/*"))) == 1
    assert kept(front.redis)["total:stored_bytes"] < 2 * len(photo)
    assert animate(front, other, photo).status_code == 202, "nobody else is held up"


def test_a_tenants_own_limit_overrides_the_setting(front: Api, key: dict[str, str], photo: bytes) -> None:
    TenantStore(front.redis).put(Tenant(name="acme", max_records=1))
    assert [refused(animate(front, key, photo)) for _ in range(2)] == [False, True]
    TenantStore(front.redis).put(Tenant(name="acme", max_records=2))
    assert not refused(animate(front, key, photo))


def test_unused_uploads_count_until_they_expire(front: Api, key: dict[str, str], photo: bytes) -> None:
    def upload() -> httpx.Response:
        return httpx.post(f"{front.url}/uploads", content=photo, headers=key, timeout=30)

    assert [refused(upload()) for _ in range(LARGE + 1)] == [False] * LARGE + [True]
    assert refused(animate(front, key, photo)), "they leave no room for inputs"
    members: Any = front.redis.zrange(UPLOADS, 0, -1)
    for member in members:
        front.redis.zadd(UPLOADS, {member: 0})
    Uploads(retention(front).storage, front.redis, 60).sweep()
    assert not list(front.storage_folder.glob("data/uploads/acme/*"))
    assert totals(front.redis) == {0}
    assert not refused(upload())


def test_photos_of_rejected_requests_count_until_they_are_deleted(
    front: Api, key: dict[str, str], photo: bytes
) -> None:
    TenantStore(front.redis).put(Tenant(name="acme", max_waiting=0))
    codes = [animate(front, key, photo).json()["code"] for _ in range(LARGE + 2)]
    assert codes == ["QUEUE.FULL"] * LARGE + ["QUOTA.REACHED"] * 2
    pass_time(front.redis, REMOVALS)
    retention(front).round()
    assert kept(front.redis)["total:stored_bytes"] == 0


def test_a_jobs_files_count_until_all_of_them_are_deleted(front: Api, key: dict[str, str], photo: bytes) -> None:
    store = JobStore(front.redis)
    job_id = animate(front, key, photo).json()["id"]
    job = store.attempts.dequeue("animate", "worker")
    assert job is not None
    store.attempts.succeed(job, OUTPUT, JobMetrics())
    reported = kept(front.redis)
    assert (reported["total:records"], reported[f"jobs/{job_id}"]) == (1, 3)
    httpx.delete(f"{front.url}/jobs/{job_id}", headers=key, timeout=30).raise_for_status()
    assert (kept(front.redis)["total:stored_bytes"], kept(front.redis)["total:records"]) == (0, 1)
    front.redis.delete(job_key(job_id))
    pass_time(front.redis, UNLISTED)
    retention(front).round()
    assert front.redis.zcard(index_key("acme")) == 0
    assert totals(front.redis) == {0}


def test_a_trainings_files_count_while_it_runs_and_can_fill_the_quota(
    front: Api, key: dict[str, str], photo: bytes
) -> None:
    def post() -> httpx.Response:
        body = {"name": "waves", "steps": 1, "data": {"source": "datasets/acme"}}
        return httpx.post(f"{front.url}/train", json=body, headers=key, timeout=30)

    LocalStore(front.storage_folder, front.url, "key").put_bytes("datasets/acme/clip.mp4", b"video", "video/mp4")
    store = JobStore(front.redis)
    assert not refused(post())
    job = store.attempts.dequeue("train", "worker")
    assert job is not None
    assert store.stored.note(job, {f"checkpoints/{job.id}": 1, "models/waves@0123456789ab": 2})
    assert store.stored.note(job, {f"checkpoints/{job.id}": LARGE * len(photo) + 1000})
    assert not store.stored.note(job.model_copy(update={"attempt": 2}), {f"checkpoints/{job.id}": 1})
    assert refused(post()), "a job without an input leaves something, too"
    httpx.post(f"{front.url}/jobs/{job.id}/cancel", headers=key, timeout=30).raise_for_status()
    store.attempts.release(job)
    assert not store.stored.note(job, {f"jobs/{job.id}": 1}), "its data may be gone already"
    httpx.delete(f"{front.url}/jobs/{job.id}", headers=key, timeout=30).raise_for_status()
    assert kept(front.redis)["total:stored_bytes"] == 2, "a model is the tenant's own, not its job's"
    store.stored.release("acme", "models/waves@0123456789ab")
    assert kept(front.redis)["total:stored_bytes"] == 0
    assert not refused(post())


def test_a_shared_input_counts_until_its_last_job_is_deleted(front: Api, key: dict[str, str], photo: bytes) -> None:
    def inputs() -> list[Path]:
        return list(front.storage_folder.glob("data/inputs/*/*"))

    def remove(job_id: str) -> None:
        httpx.delete(f"{front.url}/jobs/{job_id}", headers=key, timeout=30).raise_for_status()

    def rerun(job_id: str) -> str:
        answer = httpx.post(f"{front.url}/jobs/{job_id}/rerun", headers=key, timeout=30)
        assert answer.status_code == 202, answer.text
        made: str = answer.json()["id"]
        return made

    first = animate(front, key, photo).json()["id"]
    before = len(inputs())
    second = rerun(first)
    remove(first)
    third = rerun(second)
    assert httpx.post(f"{front.url}/jobs/{first}/rerun", headers=key).status_code == 410
    remove(second)
    assert len(inputs()) == before, "the third has it yet"
    job = JobStore(front.redis).queries.get(third)
    assert job is not None
    assert job.input_key is not None
    assert (front.storage_folder / "data" / job.input_key).is_file()
    remove(third)
    assert len(inputs()) == before - 1
    assert kept(front.redis)["total:stored_bytes"] == 0
    assert not front.redis.keys("{cinemo}:holders:*") + front.redis.keys("{cinemo}:owner:*")
