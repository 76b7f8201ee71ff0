"""Repeated requests: with a key they create one job; reruns create another one on purpose."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from starlette.testclient import TestClient

from service.api.app import create_app
from service.api.context import Context
from service.contract.problems import IdempotencyKeyReused, ModelDeleted, QueueUnavailable, RequestInFlight
from service.contract.record import Job
from service.store.async_scripts import AsyncScripts
from service.store.idempotency import IdempotencyLock
from service.store.keys import idempotency_key, job_key
from service.store.watch import JobWatch
from tests.conftest import Api
from tests.integration.test_training import PREFIX, body
from tests.jobs import JobStore, new_job, new_training
from tests.settings import settings_for

KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
KEY_IN_REDIS = idempotency_key("default", "key")


def claim(sent: str = "a request") -> IdempotencyLock:
    """A request's claim, always with the same key."""
    return IdempotencyLock("key", sent)


def animate(api: Api, photo: bytes, headers: dict[str, str] = KEY, **fields: Any) -> httpx.Response:
    data = {"prompt": "waves", **fields}
    return httpx.post(f"{api.url}/animate", data=data, files={"image": photo}, headers=headers, timeout=30)


def test_a_request_repeated_with_its_key_returns_the_same_job(api: Api, photo: bytes) -> None:
    first, again = animate(api, photo), animate(api, photo)
    unquoted = animate(api, photo, {"Idempotency-Key": KEY["Idempotency-Key"].strip('"')})
    assert first.status_code == again.status_code == 202
    assert first.json()["id"] == again.json()["id"] == unquoted.json()["id"]
    assert first.headers["location"] == again.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert api.redis.llen("animate") == 1
    assert animate(api, photo, {"Idempotency-Key": "another"}).json()["id"] != first.json()["id"]
    assert animate(api, photo, {}).json()["id"] != first.json()["id"]


def test_a_key_used_for_another_request_is_rejected(api: Api, photo: bytes) -> None:
    animate(api, photo)
    for other in (animate(api, photo, prompt="sway"), animate(api, photo + b"\0")):
        assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY.KEY_REUSED")
    assert api.redis.llen("animate") == 1


def test_concurrent_requests_with_one_key_create_one_job(api: Api, photo: bytes) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: animate(api, photo), range(12)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
    assert all(answer.json()["retryable"] for answer in answers if answer.status_code == 409)
    assert api.redis.llen("animate") == 1


def test_a_rejected_request_can_be_corrected_and_repeated_with_its_key(api: Api, photo: bytes) -> None:
    assert animate(api, b"no picture").status_code == 415
    assert animate(api, photo, model="nothing").status_code == 422
    assert animate(api, photo).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 300, "a b", "schlüssel".encode("latin-1").decode("latin-1")])
def test_an_invalid_key_is_rejected(api: Api, photo: bytes, key: str) -> None:
    answer = animate(api, photo, {"Idempotency-Key": key.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 422
    assert api.queued() == 0


def test_trainings_and_reruns_support_keys_too(api: Api, photo: bytes) -> None:
    (api.storage_folder / "data" / PREFIX).mkdir(parents=True, exist_ok=True)
    (api.storage_folder / "data" / PREFIX / "0.mp4").write_bytes(b"")
    one, two = (httpx.post(f"{api.url}/train", json=body(), headers=KEY).json()["id"] for _ in range(2))
    assert one == two
    job_id = animate(api, photo, {}).json()["id"]
    headers = {"Idempotency-Key": "rerun-1"}
    reruns = [httpx.post(f"{api.url}/jobs/{job_id}/rerun", headers=headers).json()["id"] for _ in range(2)]
    assert reruns[0] == reruns[1] != job_id
    other = httpx.post(f"{api.url}/jobs/{job_id}/rerun", json={"seed": 1}, headers=headers)
    assert other.status_code == 422


def test_the_key_and_the_job_are_written_in_one_step(store: JobStore, redis_client: redis.Redis) -> None:
    mine = claim()
    assert store.submissions.claim("default", mine) is None
    with pytest.raises(RequestInFlight):
        store.submissions.claim("default", claim())
    store.submissions.create(new_job(), mine)
    assert store.submissions.claim("default", claim()) == "job_1"
    with pytest.raises(IdempotencyKeyReused):
        store.submissions.claim("default", claim("another request"))
    assert 86_000 < int(redis_client.ttl(KEY_IN_REDIS)) <= 86_400


def test_a_key_whose_request_created_nothing_can_be_used_again(store: JobStore) -> None:
    job, mine = new_training(), claim()
    store.models.delete(job.tenant, job.model)
    store.submissions.claim("default", mine)
    with pytest.raises(ModelDeleted):
        store.submissions.create(job, mine)
    store.submissions.unclaim("default", mine)
    assert store.submissions.claim("default", claim()) is None


def test_a_lock_that_is_requested_twice_because_the_response_was_lost_holds(store: JobStore) -> None:
    mine = claim()
    assert store.submissions.claim("default", mine) is None
    assert store.submissions.claim("default", mine) is None


def test_only_the_owner_of_a_claim_can_release_it(store: JobStore) -> None:
    late, mine = claim(), claim()
    store.submissions.claim("default", late)
    store.submissions.unclaim("default", late)
    store.submissions.claim("default", mine)
    store.submissions.unclaim("default", late)
    with pytest.raises(RequestInFlight):
        store.submissions.claim("default", claim())


def test_a_job_created_after_its_claim_expired_keeps_the_key(store: JobStore, redis_client: redis.Redis) -> None:
    mine = claim()
    store.submissions.claim("default", mine)
    redis_client.delete(KEY_IN_REDIS)
    store.submissions.create(new_job(), mine)
    assert store.submissions.claim("default", claim()) == "job_1"
    assert int(redis_client.ttl(KEY_IN_REDIS)) > 86_000


def test_a_job_does_not_take_over_a_key_that_another_request_has_claimed(
    store: JobStore, redis_client: redis.Redis
) -> None:
    slow, other = claim(), claim("another request")
    store.submissions.claim("default", slow)
    redis_client.delete(KEY_IN_REDIS)
    store.submissions.claim("default", other)
    with pytest.raises(RequestInFlight):
        store.submissions.create(new_job(), slow)
    store.submissions.create(new_job("job_2"), other)
    assert store.queries.get("job_1") is None
    assert store.submissions.claim("default", claim("another request")) == "job_2"


def test_a_key_lives_no_longer_than_its_jobs_record(store: JobStore, redis_client: redis.Redis) -> None:
    store.submissions.create(new_job(), claim())
    redis_client.delete(job_key("job_1"))
    again = claim("another request")
    assert store.submissions.claim("default", again) is None
    store.submissions.create(new_job("job_2"), again)
    assert store.submissions.claim("default", claim("another request")) == "job_2"


def test_a_rerun_differs_only_in_the_given_fields(api: Api, photo: bytes) -> None:
    first = animate(api, photo, {}, seed=5, motion_intensity=3).json()
    answer = httpx.post(f"{api.url}/jobs/{first['id']}/rerun", json={"prompt": "sway"})
    assert answer.status_code == 202
    again = answer.json()
    assert answer.headers["location"] == f"{api.url}/jobs/{again['id']}"
    assert again["id"] != first["id"]
    assert again["request"] == {**first["request"], "prompt": "sway"}
    plain = httpx.post(f"{api.url}/jobs/{first['id']}/rerun", json={"detail": "off"}).json()
    assert plain["request"] == {**first["request"], "detail": "off"}
    large = httpx.post(f"{api.url}/jobs/{first['id']}/rerun", json={"height": 2000})
    assert large.status_code == 422, "the photo's shape, which the record knows, would make it too wide"
    assert {each["pointer"] for each in large.json()["errors"]} == {"#/width", "#/height"}
    same = httpx.post(f"{api.url}/jobs/{first['id']}/rerun").json()
    assert same["request"] == first["request"]
    inputs = list((api.storage_folder / "data" / "inputs").rglob("image.*"))
    assert [path.parent.name for path in inputs] == [first["id"]], "they share it"


def test_null_in_a_rerun_resets_a_field_to_its_default(api: Api, photo: bytes) -> None:
    first = animate(api, photo, {}, frame_rate_factor=2, priority=7).json()
    assert (first["request"]["frame_rate_factor"], first["priority"]) == (2, 7)
    overrides = {"detail": "off", "frame_rate_factor": None, "priority": None}
    again = httpx.post(f"{api.url}/jobs/{first['id']}/rerun", json=overrides).json()
    assert (again["request"]["frame_rate_factor"], again["priority"]) == (None, 0)


@pytest.mark.parametrize(
    ("overrides", "pointer"),
    [
        ({"colour": "red"}, "#/colour"),
        ({"seed": -1}, "#/seed"),
        ({"model": "nothing"}, "#/model"),
        ({"num_inference_steps": 201}, "#/num_inference_steps"),
    ],
)
def test_a_rerun_with_an_invalid_field_is_rejected(
    api: Api, photo: bytes, overrides: dict[str, Any], pointer: str
) -> None:
    job_id = animate(api, photo, {}).json()["id"]
    answer = httpx.post(f"{api.url}/jobs/{job_id}/rerun", json=overrides)
    assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (422, [pointer])
    assert httpx.post(f"{api.url}/jobs/job_1/rerun").status_code == 404


def test_a_slow_request_that_is_repeated_creates_no_second_job(store: JobStore) -> None:
    store.submissions.create(new_job(), claim())
    with pytest.raises(RequestInFlight):
        store.submissions.create(new_job("job_2"), claim())
    assert store.queries.get("job_2") is None


def test_a_key_whose_job_was_created_is_kept_even_if_the_response_was_lost(store: JobStore) -> None:
    mine = claim()
    store.submissions.claim("default", mine)
    store.submissions.create(new_job(), mine)
    store.submissions.unclaim("default", mine)
    assert store.submissions.claim("default", claim()) == "job_1"


def forgetful(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    """A Redis that fails right after it has written a job; an outage can't be timed so precisely."""
    jobs = JobStore(client)
    create = jobs.submissions.create

    def away(job_id: str) -> Job | None:
        raise QueueUnavailable("it is away")

    def create_and_leave(*arguments: Any) -> Job:
        job = create(*arguments)
        monkeypatch.setattr(jobs.queries, "get", away)
        return job

    monkeypatch.setattr(jobs.submissions, "create", create_and_leave)
    return jobs


def test_a_job_is_accepted_if_redis_fails_after_its_record_was_written(
    redis_client: redis.Redis, redis_port: int, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings_for(redis_port, tmp_path).model_copy(update={"auth": "off"}))
    context: Context = app.state.context
    nowhere = JobWatch("redis://127.0.0.1:1/0", AsyncScripts("redis://127.0.0.1:1/0"))
    app.state.context = replace(context, jobs=forgetful(redis_client, monkeypatch), watch=nowhere)
    answer = TestClient(app).post(
        "/animate", data={"prompt": "waves"}, files={"image": photo}, headers={**KEY, "Prefer": "wait=5"}
    )
    assert (answer.status_code, answer.json()["status"]) == (202, "queued"), answer.text
    assert answer.headers["location"] == f"http://cinemo.test/jobs/{answer.json()['id']}"
    assert JobStore(redis_client).queries.get(answer.json()["id"]) is not None
