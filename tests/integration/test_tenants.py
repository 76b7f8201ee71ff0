"""Keys, scopes and limits: each tenant has its own jobs, and no more than its limits."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import redis

from service.contract.problems import QueueUnavailable
from service.store.tenants import Scope, Tenant, TenantStore
from tests.conftest import api_running
from tests.forked import completed
from tests.jobs import JobStore, new_job, taken


@dataclass(frozen=True)
class Guarded:
    """An API that requires keys."""

    url: str
    tenants: TenantStore
    redis: "redis.Redis"

    def key(self, tenant: str, *scopes: Scope) -> dict[str, str]:
        """Headers with a new key."""
        _, token = self.tenants.create_key(tenant, frozenset(scopes or (Scope.ANIMATE,)))
        return {"Authorization": f"Bearer {token}"}

    def animate(self, photo: bytes, headers: dict[str, str]) -> httpx.Response:
        return httpx.post(
            f"{self.url}/animate", data={"prompt": "waves"}, files={"image": photo}, headers=headers, timeout=30
        )


@pytest.fixture(scope="module")
def guarded_process(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with api_running(tmp_path_factory.mktemp("guarded"), redis_port, {"CINEMO_AUTH": "keys"}) as api:
        yield Guarded(api.url, TenantStore(api.redis), api.redis)


@pytest.fixture
def guarded(guarded_process: Guarded) -> Guarded:
    guarded_process.redis.flushall()
    return guarded_process


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer cin_00000000_guess", "Basic Y2luOng=", "cin_x"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs"),
        ("GET", "/jobs/job_1"),
        ("GET", "/jobs/job_1/events"),
        ("POST", "/jobs/job_1/cancel"),
        ("POST", "/jobs/job_1/rerun"),
        ("GET", "/jobs/job_1/deliveries"),
        ("POST", "/jobs/job_1/redeliver"),
        ("POST", "/webhooks/redeliver"),
        ("POST", "/animate"),
        ("POST", "/train"),
        ("GET", "/models"),
        ("GET", "/models/waves"),
        ("GET", "/usage"),
        ("DELETE", "/models/waves"),
    ],
)
def test_without_a_valid_key_nothing_is_disclosed(
    guarded: Guarded, method: str, path: str, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = httpx.request(method, guarded.url + path, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (answer.headers["content-type"], answer.json()["code"]) == ("application/problem+json", "AUTH.KEY_INVALID")


def test_health_needs_no_key(guarded: Guarded) -> None:
    assert httpx.get(f"{guarded.url}/healthz").status_code == httpx.get(f"{guarded.url}/readyz").status_code == 200


def test_another_tenants_job_is_not_found(guarded: Guarded, photo: bytes) -> None:
    acme, other = guarded.key("acme"), guarded.key("other")
    job_id = guarded.animate(photo, acme).json()["id"]
    assert httpx.get(f"{guarded.url}/jobs/{job_id}", headers=acme).status_code == 200
    foreign = httpx.get(f"{guarded.url}/jobs/{job_id}", headers=other)
    unknown = httpx.get(f"{guarded.url}/jobs/{job_id[:-1]}x", headers=other)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["detail"].replace(job_id, "") == unknown.json()["detail"].replace(f"{job_id[:-1]}x", "")
    for method, path in (
        ("POST", "cancel"),
        ("POST", "rerun"),
        ("GET", "events"),
        ("GET", "deliveries"),
        ("POST", "redeliver"),
    ):
        assert httpx.request(method, f"{guarded.url}/jobs/{job_id}/{path}", headers=other).status_code == 404
    assert [job["id"] for job in httpx.get(f"{guarded.url}/jobs", headers=acme).json()["jobs"]] == [job_id]
    assert httpx.get(f"{guarded.url}/jobs", headers=other).json()["jobs"] == []


def test_a_tenant_sees_its_own_usage_and_an_operator_all(guarded: Guarded) -> None:
    store = JobStore(guarded.redis)
    for tenant in ("acme", "other"):
        store.attempts.release(taken(store, new_job(f"job_{tenant}").model_copy(update={"tenant": tenant})))

    def asked(headers: dict[str, str], **query: str) -> list[str] | str:
        answer = httpx.get(f"{guarded.url}/usage", params={"by": "tenant", **query}, headers=headers).json()
        return answer["code"] if "code" in answer else [row["tenant"] for row in answer["rows"]]

    admin, operator = guarded.key("acme", Scope.ADMIN), guarded.key("operators", Scope.OPERATOR)
    assert asked(admin) == asked(admin, tenant="acme") == ["acme"]
    assert asked(admin, tenant="other") == "AUTH.SCOPE_MISSING", "an admin is one of its own tenant"
    assert asked(operator) == ["acme", "other"]
    assert asked(operator, tenant="other") == ["other"]
    assert guarded.animate(b"", operator).json()["code"] == "AUTH.SCOPE_MISSING"


def test_tenants_may_use_the_same_idempotency_key(guarded: Guarded, photo: bytes) -> None:
    ids = {
        guarded.animate(photo, {**guarded.key(tenant), "Idempotency-Key": "order-1"}).json()["id"]
        for tenant in ("acme", "acme", "other")
    }
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("scope", "allowed"), [(Scope.ANIMATE, {"animate"}), (Scope.TRAIN, {"train"}), (Scope.ADMIN, {"animate", "train"})]
)
def test_a_key_has_only_the_permissions_of_its_scopes(
    guarded: Guarded, photo: bytes, scope: Scope, allowed: set[str]
) -> None:
    headers = guarded.key("acme", scope)
    training = {"name": "waves", "steps": 1, "data": {"source": "datasets/acme/none"}}
    tries = {
        "animate": guarded.animate(photo, headers),
        "train": httpx.post(f"{guarded.url}/train", json=training, headers=headers),
    }
    for kind, answer in tries.items():
        assert (answer.status_code != 403) == (kind in allowed)
        assert kind in allowed or answer.json()["code"] == "AUTH.SCOPE_MISSING"
    assert httpx.get(f"{guarded.url}/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize("tenant", ["acme", "default"])
def test_a_tenant_can_train_only_on_its_own_datasets(guarded: Guarded, tenant: str) -> None:
    headers = guarded.key(tenant, Scope.TRAIN)
    for source in ("other/videos", "", f"{tenant}/../other", f"{tenant}x", "../inputs/"):
        training = {"name": "waves", "steps": 1, "data": {"source": f"datasets/{source}"}}
        answer = httpx.post(f"{guarded.url}/train", json=training, headers=headers)
        assert answer.status_code == 422
        assert f"datasets/{tenant}/" in answer.json()["detail"]


def test_a_revoked_key_is_rejected_and_its_tenants_other_key_still_works(guarded: Guarded) -> None:
    key, token = guarded.tenants.create_key("acme", frozenset({Scope.ANIMATE}))
    other = guarded.key("acme")
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{guarded.url}/jobs", headers=headers).status_code == 200
    assert guarded.tenants.revoke(key.id)
    assert not guarded.tenants.revoke(key.id)
    assert httpx.get(f"{guarded.url}/jobs", headers=headers).status_code == 401
    assert httpx.get(f"{guarded.url}/jobs", headers=other).status_code == 200


def test_keys_are_not_stored_in_plain_text(guarded: Guarded) -> None:
    _, token = guarded.tenants.create_key("acme", frozenset({Scope.ANIMATE}))
    stored = repr(guarded.redis.hgetall("{cinemo}:keys"))
    assert '"tenant":"acme"' in stored
    assert token not in stored
    assert token.split("_", 2)[2] not in stored


def test_requests_above_the_rate_limit_are_rejected_with_a_retry_after(guarded: Guarded, photo: bytes) -> None:
    guarded.tenants.put(Tenant(name="acme", requests_per_minute=3))
    headers = guarded.key("acme")
    accepted = [guarded.animate(photo, headers) for _ in range(3)]
    assert [answer.status_code for answer in accepted] == [202, 202, 202]
    assert [answer.headers["ratelimit"].partition(";t=")[0] for answer in accepted] == [
        f'"default";r={left}' for left in (2, 1, 0)
    ]
    assert accepted[0].headers["ratelimit-policy"] == '"default";q=3;w=60'
    refused = guarded.animate(photo, headers)
    assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (429, "RATE.LIMITED", True)
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert httpx.get(f"{guarded.url}/jobs", headers=headers).status_code == 200, "asking is not limited"
    assert guarded.animate(photo, guarded.key("other")).status_code == 202


def test_a_request_without_the_scope_does_not_count_against_the_rate_limit(guarded: Guarded, photo: bytes) -> None:
    guarded.tenants.put(Tenant(name="acme", requests_per_minute=1))
    for_training = guarded.key("acme", Scope.TRAIN)
    assert [guarded.animate(photo, for_training).status_code for _ in range(2)] == [403, 403]
    assert guarded.animate(photo, guarded.key("acme", Scope.ADMIN)).status_code == 202


def test_redelivering_webhooks_counts_against_the_rate_limit(guarded: Guarded) -> None:
    guarded.tenants.put(Tenant(name="acme", requests_per_minute=1))
    headers, since = guarded.key("acme"), {"after": "2026-01-01T00:00:00Z"}
    first = httpx.post(f"{guarded.url}/webhooks/redeliver", json=since, headers=headers)
    assert (first.status_code, first.headers["ratelimit"].partition(";t=")[0]) == (202, '"default";r=0')
    for path in ("webhooks/redeliver", "jobs/job_1/redeliver"):
        assert httpx.post(f"{guarded.url}/{path}", json=since, headers=headers).status_code == 429


def test_a_full_queue_rejects_jobs_until_one_has_left_it(guarded: Guarded, photo: bytes) -> None:
    guarded.tenants.put(Tenant(name="acme", max_waiting=2))
    headers = guarded.key("acme")
    ids = [guarded.animate(photo, headers).json()["id"] for _ in range(2)]
    refused = guarded.animate(photo, {**headers, "Idempotency-Key": "order-1"})
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "QUEUE.FULL", "30")
    httpx.post(f"{guarded.url}/jobs/{ids[0]}/cancel", headers=headers)
    assert guarded.animate(photo, {**headers, "Idempotency-Key": "order-1"}).status_code == 202


def test_a_failed_change_leaves_a_tenants_limits_unchanged(redis_client: redis.Redis) -> None:
    tenants = TenantStore(redis_client)
    tenants.put(Tenant(name="acme", max_running=2))
    redis_client.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable):
            tenants.put(Tenant(name="acme", max_running=3))
    finally:
        redis_client.config_set("maxmemory", "0")
    assert tenants.get("acme").max_running == 2


def cinemo(redis_port: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_URL_SIGNING_KEY": "for tests alone",
    }
    command = [sys.executable, "-m", "service.cli", *arguments]
    return completed(command, environment)


def test_the_command_line_creates_lists_and_revokes_keys(guarded: Guarded, redis_port: int) -> None:
    made = cinemo(redis_port, "keys", "create", "--tenant", "acme", "--scope", "animate", "--scope", "train")
    token = made.stdout.strip()
    assert httpx.get(f"{guarded.url}/jobs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    listed = cinemo(redis_port, "keys", "list").stdout
    key_id = token.split("_")[1]
    assert listed.split()[:3] == [key_id, "acme", "animate,train"]
    assert token not in listed
    assert cinemo(redis_port, "keys", "revoke", key_id).returncode == 0
    assert cinemo(redis_port, "keys", "revoke", key_id).returncode == 1
    assert cinemo(redis_port, "keys", "list").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("keys", "create", "--tenant", "Acme Inc."), "'Acme Inc.' is not a valid tenant name"),
        (("tenants", "set", "acme", "--weight", "0"), "weight: must be greater than 0"),
        (("tenants", "set", "../acme"), "name: must match the pattern"),
        (("tenants", "set", "acme", "--max-running", "0"), "max_running: must be at least 1"),
    ],
)
def test_the_command_line_rejects_invalid_tenants_and_limits(
    guarded: Guarded, redis_port: int, arguments: tuple[str, ...], words: str
) -> None:
    done = cinemo(redis_port, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {words}")
    assert guarded.redis.keys("{cinemo}:tenant:*") == []


def test_a_tenants_limits_can_be_shown_and_removed(guarded: Guarded, redis_port: int) -> None:
    cinemo(redis_port, "tenants", "set", "acme", "--max-running", "2", "--weight", "1.5")
    shown: dict[str, Any] = httpx.Response(200, text=cinemo(redis_port, "tenants", "show", "acme").stdout).json()
    assert (shown["max_running"], shown["weight"], shown["max_waiting"]) == (2, 1.5, None)
    cinemo(redis_port, "tenants", "set", "acme")
    assert guarded.tenants.get("acme") == Tenant(name="acme")
