"""What the doctor reports about workers, keys, secrets and the public URL."""

import time
from datetime import UTC, datetime, timedelta

import redis

from deploy.doctor.result import Finding, Status
from service.contract.record import new_job_id
from service.contract.settings import Settings
from service.store.keys import REAPER_ROUND
from service.store.tenants import Scope, TenantStore
from service.store.workers import Worker, WorkerRegistry
from service.webhooks.endpoints import EndpointStore
from tests.conftest import Api
from tests.integration.doctor.examination import found, settings_for
from tests.jobs import JobStore, new_job


def test_waiting_jobs_without_workers_or_beside_idle_ones_are_reported(redis_client: redis.Redis) -> None:
    settings, jobs = settings_for(redis_client), JobStore(redis_client)

    def line() -> Finding:
        return found(settings, "queue.animate")["queue.animate"]

    assert (line().status, line().message) == (Status.WARNING, "workers: 0, idle: 0; waiting jobs: 0")
    minutes_ago = datetime.now(UTC) - timedelta(minutes=2)
    old = f"job_{int(minutes_ago.timestamp() * 1000):012x}{new_job_id()[16:]}"
    jobs.submissions.create(new_job().model_copy(update={"id": old}))
    assert line().status is Status.FAILURE
    assert "python -m worker --queue animate" in line().remedy
    worker = Worker(id="w", queues=("animate", "webhooks"), since=datetime.now(UTC))
    WorkerRegistry(redis_client).beat(worker, 60)
    assert line().status is Status.WARNING
    assert "max_running" in line().remedy
    WorkerRegistry(redis_client).beat(worker.model_copy(update={"jobs": ("another",)}), 60)
    assert line().status is Status.OK
    assert found(settings, "queue.webhooks")["queue.webhooks"].status is Status.OK


def test_workers_without_a_reaper_are_reported(redis_client: redis.Redis) -> None:
    settings, jobs = settings_for(redis_client), JobStore(redis_client)

    def reaper() -> Finding:
        return found(settings, "queue.reaper")["queue.reaper"]

    assert reaper().status is Status.OK
    registry, began = WorkerRegistry(redis_client), datetime.now(UTC)
    registry.beat(Worker(id="w", queues=("train",), since=began), 60)
    assert reaper().status is Status.OK
    registry.beat(Worker(id="w", queues=("train",), since=began - timedelta(hours=1)), 60)
    assert reaper().status is Status.FAILURE
    jobs.recovery.note_round()
    assert reaper().status is Status.OK
    an_hour_ago = (time.time() - 3600) * 1000
    redis_client.set(REAPER_ROUND, round(an_hour_ago))
    assert reaper().status is Status.FAILURE


def test_missing_keys_and_secrets_are_reported(redis_client: redis.Redis) -> None:
    settings = settings_for(redis_client)
    names = ("tenants.keys", "tenants.webhook_secrets")

    def statuses() -> list[Status]:
        return [found(settings, name)[name].status for name in names]

    assert statuses() == [Status.WARNING, Status.OK]
    TenantStore(redis_client).create_key("acme", frozenset({Scope.ANIMATE}))
    endpoints = EndpointStore(redis_client)
    endpoint = endpoints.add("acme", "https://example.com/hook")
    assert statuses() == [Status.OK, Status.WARNING]
    assert "--tenant acme" in found(settings, names[1])[names[1]].remedy
    assert endpoints.secrets("acme")[0] not in found(settings, names[1])[names[1]].line()
    assert statuses() == [Status.OK, Status.OK]
    disabled = endpoint.model_copy(update={"enabled": False})
    redis_client.hset("{cinemo}:webhooks:endpoints:acme", endpoint.id, disabled.model_dump_json())
    assert statuses() == [Status.OK, Status.WARNING]


def test_a_public_url_that_does_not_lead_to_the_api_is_reported(api: Api, s3_endpoint: str) -> None:
    def of(url: str, auth: str = "off") -> Status:
        settings = Settings(storage_url="s3://none", public_base_url=url, auth=auth)
        return found(settings, "public_url")["public_url"].status

    assert of(api.url) is Status.OK
    assert of(api.url, "keys") is Status.WARNING
    assert of(s3_endpoint) is Status.FAILURE
    assert of("http://127.0.0.1:1") is Status.SKIPPED
