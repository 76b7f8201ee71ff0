"""`validate_only`: all checks of a request that creates a job, and nothing stored."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cinemo_client import Client
from cinemo_client.models import AnimateValidation
from service.contract.record import new_job_id
from service.store.keys import deleted_model_key
from service.store.tenants import Tenant, TenantStore
from service.store.workers import Worker, WorkerRegistry
from tests.conftest import Api
from tests.integration.test_training import PREFIX, body
from tests.jobs import OUTPUT, JobStore, found, new_job

ONLY = {"validate_only": "true"}
TENANT = "default"
CLIP = b"GIF89a"
"""All that the API looks at of a video."""


@pytest.fixture
def earlier(api: Api, photo: bytes) -> dict[str, Any]:
    """A job, a dataset and an upload, for requests to refer to."""
    (api.storage_folder / "data" / PREFIX).mkdir(parents=True, exist_ok=True)
    (api.storage_folder / "data" / PREFIX / "0.mp4").write_bytes(b"")
    answer = httpx.post(f"{api.url}/animate", data={"prompt": "waves", "seed": "1"}, files={"image": photo}, timeout=30)
    upload = httpx.post(f"{api.url}/uploads", files={"file": photo}, timeout=30).json()
    return {**answer.json(), "upload": upload["id"]}


def requests(photo: bytes, earlier: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """One request of each kind that creates a job."""
    text = base64.b64encode(photo).decode()
    yield "/animate", {"data": {"prompt": "waves", "seed": "7"}, "files": {"image": photo}}
    yield "/animate", {"json": {"prompt": "waves", "seed": 7, "image_base64": text}}
    yield "/animate", {"json": {"prompt": "waves", "seed": 7, "upload_id": earlier["upload"]}}
    yield "/edit", {"data": {"prompt": "waves"}, "files": {"image": photo, "video": CLIP}}
    yield "/train", {"json": body()}
    yield f"/jobs/{earlier['id']}/rerun", {"json": {"seed": 7}}
    yield f"/jobs/{earlier['id']}/rerun", {}


def kept(api: Api) -> dict[str, bytes | None]:
    """Every key in Redis with its value, and every file with its content."""
    values = {key.decode(): api.redis.dump(key) for key in api.redis.scan_iter()}
    files = {str(path): path.read_bytes() for path in api.storage_folder.rglob("*") if path.is_file()}
    return {**values, **files}


def validate(api: Api, path: str, **arguments: Any) -> httpx.Response:
    return httpx.post(api.url + path, params=ONLY, timeout=30, **arguments)


def test_validation_stores_nothing_on_any_route(api: Api, photo: bytes, earlier: dict[str, Any]) -> None:
    before = kept(api)
    for path, arguments in requests(photo, earlier):
        answer = validate(api, path, headers={"Idempotency-Key": "order-1", "Cancel-After": "5m"}, **arguments)
        assert answer.status_code == 200, answer.text
        assert kept(api) == before, path


def test_validation_returns_the_request_that_a_job_would_have(api: Api, photo: bytes, earlier: dict[str, Any]) -> None:
    for path, arguments in requests(photo, earlier):
        checked = validate(api, path, **arguments).json()
        job = httpx.post(api.url + path, timeout=30, **arguments).json()
        assert {name: job[name] for name in checked.keys() & job.keys() - {"eta"}} == {
            name: checked[name] for name in checked.keys() & job.keys() - {"eta"}
        }, path
        assert {"request", "kind", "priority", "webhook_events"} <= checked.keys() & job.keys()


def test_validation_does_not_use_up_an_idempotency_key(api: Api, photo: bytes) -> None:
    headers = {"Idempotency-Key": "order-1"}
    form = {"data": {"prompt": "waves"}, "files": {"image": photo}}
    assert validate(api, "/animate", headers=headers, **form).status_code == 200
    other = httpx.post(f"{api.url}/animate", data={"prompt": "rain"}, files={"image": photo}, headers=headers)
    assert other.status_code == 202
    assert validate(api, "/animate", headers=headers, **form).status_code == 200


@pytest.mark.parametrize(
    ("path", "arguments", "pointer"),
    [
        ("/animate", {"data": {"prompt": ""}, "files": {"image": b"\xff\xd8\xff"}}, "#/prompt"),
        ("/animate", {"data": {"prompt": "waves"}, "files": {"image": b"\xff\xd8\xff"}}, "#/image"),
        ("/animate", {"json": {"prompt": "waves", "upload_id": "upl_none"}}, "#/upload_id"),
        ("/animate", {"json": {"prompt": "w", "image_url": "http://127.0.0.1/1.jpg"}}, "#/image_url"),
        ("/edit", {"data": {}, "files": {"image": b"x", "video": b"x"}}, "#/video"),
        ("/train", {"json": body(name="tiny")}, "#/name"),
        ("/train", {"json": body(base_model="none@0123456789ab")}, "#/base_model"),
    ],
)
def test_the_reasons_for_rejecting_a_request_are_reported(
    api: Api, earlier: dict[str, Any], path: str, arguments: dict[str, Any], pointer: str
) -> None:
    before = kept(api)
    asked, real = validate(api, path, **arguments), httpx.post(api.url + path, timeout=30, **arguments)
    assert (asked.status_code, asked.json()["errors"][0]["pointer"]) == (real.status_code, pointer)
    same = {name: value for name, value in asked.json().items() if name != "request_id"}
    assert same == {name: value for name, value in real.json().items() if name != "request_id"}
    assert kept(api) == before


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_waiting": 1}, "QUEUE.FULL"),
        ({"max_records": 1}, "QUOTA.REACHED"),
        ({"max_record_bytes": 9000}, "QUOTA.REACHED"),
        ({"max_stored_bytes": 1000}, "QUOTA.REACHED"),
    ],
)
def test_a_full_queue_and_a_reached_quota_are_reported(
    api: Api, photo: bytes, earlier: dict[str, Any], limits: dict[str, int], code: str
) -> None:
    TenantStore(api.redis).put(Tenant(name=TENANT, **limits))
    before = kept(api)
    form: dict[str, Any] = {"data": {"prompt": "waves"}, "files": {"image": photo}}
    asked = validate(api, "/animate", **form)
    assert kept(api) == before
    real = httpx.post(f"{api.url}/animate", timeout=30, **form)
    assert asked.json()["code"] == real.json()["code"] == code
    assert asked.status_code == real.status_code == 429


def test_a_missing_input_and_a_deleted_model_are_reported(api: Api, photo: bytes, earlier: dict[str, Any]) -> None:
    store = JobStore(api.redis)
    store.cancel(found(store, earlier["id"]))
    httpx.delete(f"{api.url}/jobs/{earlier['id']}").raise_for_status()
    assert validate(api, f"/jobs/{earlier['id']}/rerun").json()["code"] == "JOB.DATA_REMOVED"
    api.redis.set(deleted_model_key(TENANT, "tiny"), 1)
    form = {"data": {"prompt": "waves"}, "files": {"image": photo}}
    assert validate(api, "/animate", **form).json()["code"] == "MODEL.DELETED"


def test_validation_counts_towards_the_rate_limit(api: Api, photo: bytes) -> None:
    TenantStore(api.redis).put(Tenant(name=TENANT, requests_per_minute=1))
    form = {"data": {"prompt": "waves"}, "files": {"image": photo}}
    assert validate(api, "/animate", **form).headers["ratelimit"].startswith('"default";r=0')
    assert validate(api, "/animate", **form).json()["code"] == "RATE.LIMITED"


def test_the_estimated_times_are_those_of_a_job_at_the_end_of_the_queue(api: Api, photo: bytes) -> None:
    store = JobStore(api.redis)
    form: dict[str, Any] = {
        "data": {"prompt": "w", "num_inference_steps": "4", "guidance_scale": "2"},
        "files": {"image": photo},
    }
    unknown = validate(api, "/animate", **form).json()
    assert (unknown["jobs_ahead"], unknown["starts_at"], unknown["run_seconds"], unknown["eta"]) == (
        0,
        None,
        None,
        None,
    )

    job = httpx.post(f"{api.url}/animate", timeout=30, **form).json()
    store.attempts.succeed(
        store.attempts.dequeue("animate", "w") or pytest.fail("nothing waits"),
        OUTPUT,
        found(store, job["id"]).metrics.model_copy(update={"execution_ms": 10_000, "gpu_ms": 8_000}),
    )
    WorkerRegistry(api.redis).beat(Worker(id="w", queues=("animate",), since=datetime.now(UTC)), 60)
    for _ in range(2):
        store.submissions.create(new_job(new_job_id()))
    asked = validate(api, "/animate", **form).json()
    start, end = (datetime.fromisoformat(asked[name]) for name in ("starts_at", "eta"))
    assert (asked["jobs_ahead"], asked["run_seconds"]) == (2, 10.0)
    assert 15 < (start - datetime.now(UTC)).total_seconds() <= 20
    assert (end - start).total_seconds() == 10
    urgent = validate(api, "/animate", data={**form["data"], "priority": "1"}, files=form["files"]).json()
    assert urgent["jobs_ahead"] == 0


def test_the_dialect_rejects_validate_only_instead_of_creating_a_job(api: Api, photo: bytes) -> None:
    before = kept(api)
    answer = validate(api, "/v1/videos", data={"prompt": "waves"}, files={"input_reference": photo})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "validate_only")
    assert kept(api) == before


def test_the_client_can_validate_requests(api: Api, photo: bytes, earlier: dict[str, Any]) -> None:
    before = kept(api)
    with Client(api.url) as client:
        animated = client.validate_animate(photo, "waves", seed=7)
        edited = client.validate_edit(CLIP, photo)
        trained = client.validate_train(body())
        again = client.job(earlier["id"]).validate_rerun(seed=8)
    assert (animated.request.seed, edited.kind, trained.request.name) == (7, "edit", "waves")
    assert isinstance(again, AnimateValidation)
    assert again.request.seed == 8
    assert kept(api) == before
