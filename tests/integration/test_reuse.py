"""An identical job gets a copy of the finished one's output, unless it opts out."""

import json
from typing import Any

import httpx
import pytest
import redis

from cinemo_spec.marking.statement import SourceType
from service.contract.record import JobMetrics
from service.storage import LocalStore
from service.store.keys import result_key
from service.store.retention import Retention
from tests.integration.conftest import Service
from tests.jobs import OUTPUT, JobStore, found, new_job, taken


def manifest_of(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(httpx.get(job["output"]["manifest"]["url"]).content)
    return found


def test_an_identical_job_gets_the_same_output_in_its_own_files(service: Service, photo: bytes) -> None:
    first = service.wait_for(service.animate(photo, seed=4001)["id"])
    again = service.wait_for(service.animate(photo, seed=4001)["id"])
    assert (first["reused_from"], again["reused_from"]) == (None, first["id"])
    assert (again["status"], again["attempt"], again["metrics"]["gpu_ms"]) == ("succeeded", 1, 0)
    assert (again["progress"]["fraction"], again["progress"]["message"]) == (1, f"the output of {first['id']}")
    manifest = manifest_of(again)
    assert (manifest["job"], manifest["reused_from"]) == (again["id"], first["id"])
    assert manifest["model"] == manifest_of(first)["model"]
    for job in (first, again):
        assert job["output"]["digital_source_type"] == SourceType.CREATED.url
        stated = {"digital_source_type": SourceType.CREATED.url, "signing": None, "watermark_id": None}
        assert manifest_of(job)["marking"] == stated
    assert "reused_from" not in manifest_of(first)
    kinds = [event.type for event in service.jobs.queries.events(again["id"])]
    assert kinds == ["job.queued", "job.running", "progress", "job.succeeded"]

    assert service.http.delete(f"/jobs/{first['id']}").status_code == 204
    for name in ("video", "poster"):
        file = service.get(again["id"])["output"][name]
        assert file["sha256"] == first["output"][name]["sha256"]
        assert manifest["files"][name]["key"].startswith(f"jobs/{again['id']}/")
        content = httpx.get(file["url"]).raise_for_status().content
        assert len(content) == file["bytes"]
        assert SourceType.CREATED.url.encode() in content
    third = service.wait_for(service.animate(photo, seed=4001)["id"])
    assert third["reused_from"] == again["id"], "the first is gone, its copy is not"


def test_a_different_job_and_one_without_reuse_run_the_model(service: Service, photo: bytes) -> None:
    first = service.animate(photo, seed=4002)["id"]
    service.wait_for(first)
    others = [
        service.animate(photo, seed=4003)["id"],
        service.animate(photo, seed=4002, prompt="the camera pans right")["id"],
        service.animate(photo, seed=4002, num_inference_steps=3)["id"],
        service.animate(photo, seed=4002, guidance_rescale=0.7)["id"],
        service.repeat(first, reuse=False),
    ]
    assert [service.wait_for(job_id)["reused_from"] for job_id in others] == [None] * 5
    assert service.wait_for(service.repeat(first))["reused_from"] == others[-1]


def finished(store: JobStore, job_id: str, digest: str, tenant: str = "default") -> None:
    job = taken(store, new_job(job_id).model_copy(update={"tenant": tenant}))
    store.attempts.succeed(job, OUTPUT, JobMetrics(), digest)


def test_a_result_is_only_found_by_its_own_tenant(store: JobStore) -> None:
    finished(store, "job_1", "d1")
    assert store.queries.with_result("default", "d1") == found(store, "job_1")
    assert store.queries.with_result("acme", "d1") is None
    assert store.queries.with_result("default", "d2") is None


def test_a_result_is_no_longer_found_once_its_files_are_removed(store: JobStore, storage: LocalStore) -> None:
    finished(store, "job_1", "d1")
    finished(store, "job_2", "d2")
    Retention(store.removals, storage).remove("default", "job_1")
    assert store.queries.with_result("default", "d1") is None
    assert store.queries.with_result("default", "d2") is not None


def test_of_several_identical_jobs_one_whose_output_exists_is_found(
    store: JobStore, storage: LocalStore, redis_client: redis.Redis
) -> None:
    for job_id in ("job_1", "job_2"):
        finished(store, job_id, "d1")
    Retention(store.removals, storage).remove("default", "job_1")
    assert store.queries.with_result("default", "d1") == found(store, "job_2")
    Retention(store.removals, storage).remove("default", "job_2")
    assert redis_client.keys("*result*") == []


def test_a_result_is_forgotten_when_its_files_are_due(store: JobStore, redis_client: redis.Redis) -> None:
    finished(store, "job_1", "d1")
    assert 3 * 86_400 - 60 < int(redis_client.ttl(result_key("default", "d1"))) <= 3 * 86_400


def test_the_output_of_a_canceled_job_is_not_reused(store: JobStore, redis_client: redis.Redis) -> None:
    job = taken(store, new_job())
    store.cancel(job)
    store.attempts.succeed(job, OUTPUT, JobMetrics(), "d1")
    assert store.queries.with_result("default", "d1") is None
    assert redis_client.keys("*result*") == []


@pytest.fixture
def storage(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("storage"), "http://here", "key")
