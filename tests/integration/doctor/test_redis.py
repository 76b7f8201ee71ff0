"""What the doctor reports about a broken Redis: the cause, and how to fix it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from deploy.doctor import redis_server
from deploy.doctor.checks import CHECKS
from deploy.doctor.result import Status
from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.contract.settings import Settings
from tests.integration.doctor.examination import found, settings_for
from tests.processes import running


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[redis.Redis]:
    """A server that a test may break."""
    folder, port = tmp_path / "redis", free_port()
    folder.mkdir()
    with running(redis_command(port, folder), folder / "log", lambda: answers_ping(port)):
        yield redis.Redis(port=port)


def make_replica(client: redis.Redis) -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")


def forbid_info(client: redis.Redis) -> None:
    client.execute_command("ACL", "SETUSER", "default", "-info")


BREAKS: dict[str, tuple[str, Callable[[redis.Redis], object], str, str]] = {
    "no append-only file": (
        "redis.durability",
        lambda client: client.config_set("appendonly", "no"),
        "keeps no append-only file",
        "appendonly yes",
    ),
    "eviction": (
        "redis.durability",
        lambda client: client.config_set("maxmemory-policy", "allkeys-lru"),
        "drops keys",
        "noeviction",
    ),
    "no right to ask": ("redis.durability", forbid_info, "INFO", "allow its user INFO"),
    "a replica": ("redis.writes", make_replica, "rejects writes", "primary"),
    "full memory": ("redis.writes", lambda client: client.config_set("maxmemory", 1), "rejects writes", "maxmemory"),
    "full memory, told": ("redis.memory", lambda client: client.config_set("maxmemory", 1), "MiB used", "maxmemory"),
    "a password": (
        "redis",
        lambda client: client.config_set("requirepass", "hidden"),
        "login",
        "user and password in CINEMO_REDIS_URL",
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_misconfigured_redis_is_reported(own_redis: redis.Redis, broken: str) -> None:
    check, break_it, message, remedy = BREAKS[broken]
    settings = settings_for(own_redis)
    before = found(settings, check)[check]
    assert (before.status, before.remedy) == (Status.OK, "")
    break_it(own_redis)
    finding = found(settings, check)[check]
    assert finding.status is Status.FAILURE
    assert message in finding.message
    assert remedy in finding.remedy


def test_a_redis_that_the_settings_allow_to_lose_jobs_is_a_warning(own_redis: redis.Redis) -> None:
    own_redis.config_set("appendonly", "no")
    finding = found(settings_for(own_redis, redis_durability="any"), "redis.durability")["redis.durability"]
    assert finding.status is Status.WARNING


def test_a_redis_without_a_memory_limit_is_a_warning_since_no_alert_could_fire(own_redis: redis.Redis) -> None:
    own_redis.config_set("maxmemory", 0)
    finding = found(settings_for(own_redis), "redis.memory")["redis.memory"]
    assert finding.status is Status.WARNING
    assert "maxmemory" in finding.remedy


def test_an_unreachable_redis_is_reported_once_and_dependent_checks_are_skipped() -> None:
    names = [check.name for check in CHECKS if check.needs == "redis"]
    settings = Settings(redis_url="redis://:hidden@127.0.0.1:1/0", storage_url="s3://none")
    findings = found(settings, *names)
    assert findings.pop("redis").line().startswith("failure  redis: does not respond: ")
    assert {finding.status for finding in findings.values()} == {Status.SKIPPED}
    assert "hidden" not in "".join(finding.line() for finding in findings.values())


def test_a_slow_redis_and_clock_skew_are_reported(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(redis_client)
    names = ("redis.latency", "redis.clock")
    assert [found(settings, name)[name].status for name in names] == [Status.OK, Status.OK]
    monkeypatch.setattr(redis_server, "SLOW_MS", 0)
    assert found(settings, "redis.latency")["redis.latency"].status is Status.WARNING
    real = time.time
    for skew, status in ((3, Status.WARNING), (-300, Status.FAILURE)):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda skew=skew: real() + skew)
            assert found(settings, "redis.clock")["redis.clock"].status is status
