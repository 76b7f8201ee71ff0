"""The delivery log over HTTP, redelivery, and the commands of `cinemo webhooks`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.contract.record import Job, new_job_id
from service.contract.requests import JobOptions
from service.store.keys import WEBHOOK_NAMES
from service.webhooks.endpoints import EndpointStore
from service.webhooks.outbox import MAX_REDELIVERIES, Outbox
from tests.clocks import Clock
from tests.conftest import Api
from tests.integration.webhooks.post import deliver_due
from tests.jobs import JobStore, new_job
from tests.receiver import ALL_EVENTS, Receiver
from tests.settings import settings_for
from worker.deliver import Deliverer, make_deliverer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deliverer(api: Api, redis_port: int, tmp_path: Path, clock: Clock) -> Deliverer:
    return replace(make_deliverer(settings_for(redis_port, tmp_path)), outbox=Outbox(api.redis, clock))


def job_with_webhooks(api: Api, url: str | None = None, tenant: str = "default") -> Job:
    """A job that was started and canceled, and notifies its URL, if any, of both."""
    jobs = JobStore(api.redis)
    options = JobOptions(webhook_url=url, webhook_events=ALL_EVENTS)
    jobs.submissions.create(new_job(new_job_id()).model_copy(update={"options": options, "tenant": tenant}))
    job = jobs.attempts.dequeue("animate", "worker")
    assert job is not None
    jobs.cancel(job)
    jobs.attempts.release(job)
    return job


def drain(deliverer: Deliverer) -> None:
    while deliver_due(deliverer):
        pass


def log_of(api: Api, job: Job) -> list[dict[str, Any]]:
    answer = httpx.get(f"{api.url}/jobs/{job.id}/deliveries")
    assert answer.status_code == 200, answer.text
    deliveries: list[dict[str, Any]] = answer.json()["deliveries"]
    return deliveries


def redeliver(api: Api, **body: Any) -> int:
    answer = httpx.post(f"{api.url}/webhooks/redeliver", json=body)
    assert answer.status_code == 202, answer.text
    return int(answer.json()["redelivered"])


def test_the_log_lists_every_attempt_and_when_the_next_is_due(
    api: Api, deliverer: Deliverer, receiver: Receiver
) -> None:
    receiver.answers(500)
    job = job_with_webhooks(api, receiver.url)
    drain(deliverer)
    running, canceled = log_of(api, job)
    assert (running["type"], running["status"], running["url"], running["endpoint"]) == (
        "job.running",
        "pending",
        receiver.url,
        None,
    )
    [attempt] = running["attempts"]
    assert (attempt["status"], attempt["error"]) == (500, "answered 500")
    assert attempt["latency_ms"] >= 0
    waited = datetime.fromisoformat(running["next_attempt_at"]) - datetime.fromisoformat(attempt["at"])
    assert 5 <= waited.total_seconds() < 8
    assert (canceled["type"], canceled["attempts"], canceled["next_attempt_at"]) == ("job.canceled", [], None)
    assert running["id"] == receiver.ids[0]


def test_a_jobs_webhooks_are_redelivered_with_the_same_ids_and_in_order(
    api: Api, deliverer: Deliverer, receiver: Receiver
) -> None:
    job = job_with_webhooks(api, receiver.url)
    drain(deliverer)
    answer = httpx.post(f"{api.url}/jobs/{job.id}/redeliver")
    assert (answer.status_code, answer.json()) == (202, {"redelivered": 2})
    drain(deliverer)
    assert receiver.types == ["job.running", "job.canceled"] * 2
    assert receiver.ids[:2] == receiver.ids[2:]
    assert [len(each["attempts"]) for each in log_of(api, job)] == [2, 2]


def test_failed_deliveries_of_a_period_are_redelivered(
    api: Api, deliverer: Deliverer, receiver: Receiver, clock: Clock
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    fine = job_with_webhooks(api, receiver.url)
    drain(deliverer)
    receiver.answers(500)
    broken = job_with_webhooks(api, f"{receiver.url}/broken")
    for _ in range(25):
        drain(deliverer)
        clock.ahead += 100_000
    assert {each["status"] for each in log_of(api, broken)} == {"failed"}
    receiver.answers(200)
    receiver.received.clear()
    assert redeliver(api, after=before.isoformat(), status="failed") == 2
    drain(deliverer)
    assert receiver.types == ["job.running", "job.canceled"]
    assert {each.path for each in receiver.received} == {"/hook/broken"}
    assert redeliver(api, after=before.isoformat()) == 4
    assert redeliver(api, after=before.isoformat(), before=before.isoformat()) == 0
    assert redeliver(api, after=(datetime.now(UTC) + timedelta(seconds=9)).isoformat()) == 0
    drain(deliverer)
    assert {each["status"] for each in log_of(api, fine)} == {"delivered"}


def test_redelivery_to_an_endpoint_ends_its_back_off(api: Api, deliverer: Deliverer, receiver: Receiver) -> None:
    EndpointStore(api.redis).add("default", receiver.url, ALL_EVENTS)
    receiver.answers(503, retry_after="3600")
    job = job_with_webhooks(api)
    drain(deliverer)
    receiver.answers(200)
    httpx.post(f"{api.url}/jobs/{job.id}/redeliver").raise_for_status()
    drain(deliverer)
    assert receiver.types == ["job.running", "job.running", "job.canceled"]


def test_redelivery_to_a_jobs_own_url_respects_its_back_off(
    api: Api, deliverer: Deliverer, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers(503, retry_after="3600")
    job = job_with_webhooks(api, receiver.url)
    drain(deliverer)
    receiver.answers(200)
    httpx.post(f"{api.url}/jobs/{job.id}/redeliver").raise_for_status()
    drain(deliverer)
    assert receiver.types == ["job.running"]
    clock.ahead += 3601
    drain(deliverer)
    assert receiver.types == ["job.running", "job.running", "job.canceled"]


def test_redelivering_more_than_the_limit_is_rejected(api: Api) -> None:
    written = {f"msg_{number}": datetime.now(UTC).timestamp() * 1000 for number in range(MAX_REDELIVERIES + 1)}
    api.redis.zadd(WEBHOOK_NAMES["of_tenant"] + "default", written)
    answer = httpx.post(f"{api.url}/webhooks/redeliver", json={"after": "2020-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/after")
    assert "10,001" in answer.json()["detail"]
    assert redeliver(api, after="2020-01-01T00:00:00Z", before="2020-02-01T00:00:00Z") == 0


def test_other_tenants_webhooks_are_neither_listed_nor_redelivered(
    api: Api, deliverer: Deliverer, receiver: Receiver
) -> None:
    job = job_with_webhooks(api, receiver.url, tenant="acme")
    drain(deliverer)
    for method, path in (("GET", "deliveries"), ("POST", "redeliver")):
        answer = httpx.request(method, f"{api.url}/jobs/{job.id}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert redeliver(api, after="2020-01-01T00:00:00Z") == 0


@pytest.mark.parametrize(
    "body",
    [{}, {"after": "yesterday"}, {"after": "2026-01-01"}, {"after": "2026-01-01T00:00:00Z", "status": "x"}, {"a": 1}],
)
def test_an_invalid_period_is_rejected(api: Api, body: dict[str, Any]) -> None:
    assert httpx.post(f"{api.url}/webhooks/redeliver", json=body).status_code == 422


def cinemo(redis_port: int, *arguments: str) -> Result:
    environment = {
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_URL_SIGNING_KEY": "for tests alone",
    }
    return CliRunner(env=environment).invoke(app, ["webhooks", *arguments])


def test_endpoints_are_managed_by_commands(api: Api, redis_port: int) -> None:
    url = "https://example.com/hook"
    added = cinemo(redis_port, "endpoint", "add", url, "--tenant", "acme", "--event", "job.failed")
    assert added.exit_code == 0, added.stderr
    endpoint_id = added.stdout.split()[0]
    [endpoint] = EndpointStore(api.redis).of_tenant("acme")
    assert (endpoint.id, endpoint.url, endpoint.events) == (endpoint_id, url, ("job.failed",))
    listed = cinemo(redis_port, "endpoint", "list", "--tenant", "acme").stdout
    assert listed.split() == [endpoint_id, "enabled", "job.failed", url]
    assert cinemo(redis_port, "endpoint", "remove", endpoint_id, "--tenant", "acme").exit_code == 0
    again = cinemo(redis_port, "endpoint", "remove", endpoint_id, "--tenant", "acme")
    assert (again.exit_code, again.stderr) == (1, f"error: no endpoint {endpoint_id}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("http://169.254.169.254/", "--tenant", "acme"),
        ("ftp://example.com/", "--tenant", "acme"),
        ("https://example.com/", "--tenant", "Acme!"),
        ("https://example.com/", "--tenant", "acme", "--event", "job.queued"),
    ],
)
def test_an_invalid_endpoint_is_rejected(api: Api, redis_port: int, arguments: tuple[str, ...]) -> None:
    refused = cinemo(redis_port, "endpoint", "add", *arguments)
    assert refused.exit_code != 0
    assert isinstance(refused.exception, SystemExit)
    assert api.redis.keys("*") == []


def test_a_secret_is_shown_and_rotated_by_commands(api: Api, redis_port: int) -> None:
    first = cinemo(redis_port, "secret", "show", "--tenant", "acme").stdout.split()
    assert len(first) == 1
    second = cinemo(redis_port, "secret", "rotate", "--tenant", "acme", "--overlap-hours", "1").stdout.split()
    assert cinemo(redis_port, "secret", "show", "--tenant", "acme").stdout.split() == [*second, *first]
    third = cinemo(redis_port, "secret", "rotate", "--tenant", "acme", "--overlap-hours", "0").stdout.split()
    assert cinemo(redis_port, "secret", "show", "--tenant", "acme").stdout.split() == third
