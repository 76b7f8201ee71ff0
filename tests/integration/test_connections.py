"""Redis as one server, behind Sentinel and as a cluster; and one that could lose data."""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from random import randrange
from typing import Any

import pytest
import redis

from deploy.local.redis import free_port, redis_binary, redis_command
from deploy.local.stack import answers_ping
from service.contract.problems import QueueUnavailable, RedisUnsafe
from service.contract.record import JobMetrics
from service.contract.redis_urls import parse
from service.store import connections
from service.store.async_scripts import AsyncScripts
from service.store.circuit import Circuit
from service.store.connections import broker, connect, connect_for_requests, require_durable
from service.store.queries import JobFilter
from service.store.queue import JobQueue
from service.store.watch import JobWatch
from tests.forked import completed
from tests.jobs import OUTPUT, JobStore, new_job, step, taken
from tests.processes import PYTHON, running, wait_until

SLOTS = 16_384


def server(stack: ExitStack, folder: Path, *options: str, port: int | None = None) -> int:
    """A redis-server of its own; returns its port."""
    port = port or free_port()
    folder.mkdir()
    stack.enter_context(running([*redis_command(port, folder), *options], folder / "log", lambda: answers_ping(port)))
    return port


def run_through(url: str) -> None:
    """A job's whole life, and a second one whose worker is lost."""
    store = JobStore(connect(url))
    job = taken(store, new_job("job_whole"))
    assert store.attempts.report_progress(job, step(1)).happened
    assert store.attempts.succeed(job, OUTPUT, JobMetrics()).happened
    assert [event.type for event in store.queries.events(job.id)] == [
        "job.queued",
        "job.running",
        "progress",
        "job.succeeded",
    ]
    lost = taken(store, new_job("job_lost"))
    assert store.attempts.renew(lost) == "running"
    assert store.recovery.lapsed() == []
    assert store.attempts.release(lost).happened
    store.check()
    as_requests_do = JobStore(connect_for_requests(url, 2, Circuit()))
    assert [each.id for each in as_requests_do.queries.page("default", JobFilter(), None, 5).jobs] == [
        "job_whole",
        "job_lost",
    ]
    as_requests_do.check()
    assert store.attempts.dequeue("animate", "worker") is not None
    assert asyncio.run(first_events(url)) == ["job.queued", "job.running"]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_jobs_run_behind_sentinel_and_after_a_failover(stack: ExitStack, tmp_path: Path) -> None:
    primary = server(stack, tmp_path / "primary")
    replica = server(stack, tmp_path / "replica", "--replicaof", "127.0.0.1", str(primary))
    sentinel = sentinel_of(stack, tmp_path / "sentinel", primary)
    url = f"redis+sentinel://127.0.0.1:{sentinel}/jobs/0"
    wait_until(lambda: len(redis.Redis(port=sentinel).sentinel_slaves("jobs")) == 1, 30, "Sentinel knowing the replica")
    run_through(url)
    wait_until(lambda: bool(redis.Redis(port=replica).exists("{cinemo}:job:job_whole")), 10, "the replica being level")
    wait_until(lambda: failover_begins(sentinel), 30, "Sentinel finding the replica good enough")
    wait_until(lambda: redis.Redis(port=replica).info("replication")["role"] == "master", 60, "the failover")
    store = JobStore(connect(url))
    wait_until(lambda: store.queries.get("job_whole") is not None, 10, "the new primary being found")


def failover_begins(sentinel: int) -> bool:
    """False as long as Sentinel returns an error, NOGOODSLAVE until it knows of the replica."""
    with suppress(redis.ResponseError):
        return bool(redis.Redis(port=sentinel).execute_command("SENTINEL FAILOVER jobs"))
    return False


def sentinel_of(stack: ExitStack, folder: Path, primary: int) -> int:
    folder.mkdir()
    port, configuration = free_port(), folder / "sentinel.conf"
    watched = f"sentinel monitor jobs 127.0.0.1 {primary} 1"
    configuration.write_text(f"port {port}\nbind 127.0.0.1\ndir {folder}\n{watched}\n")
    command = [redis_binary(), str(configuration), "--sentinel"]
    stack.enter_context(running(command, folder / "log", lambda: answers_ping(port)))
    return port


def test_jobs_run_in_a_cluster(stack: ExitStack, tmp_path: Path) -> None:
    ports = [server(stack, tmp_path / str(each), "--cluster-enabled", "yes", port=bus_port()) for each in range(3)]
    nodes = [redis.Redis(port=port) for port in ports]
    for index, node in enumerate(nodes):
        node.execute_command("CLUSTER MEET", "127.0.0.1", ports[0])
        node.execute_command("CLUSTER ADDSLOTS", *range(SLOTS * index // 3, SLOTS * (index + 1) // 3))
    wait_until(lambda: all(is_whole(node) for node in nodes), 60, "the cluster being whole")
    url = f"redis+cluster://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}"
    run_through(url)
    require_durable(connect(url))
    holders = [node for node in nodes if node.execute_command("DBSIZE")]
    assert len(holders) == 1, "all keys are in one slot, so that scripts may change several at once"


def bus_port() -> int:
    """A port that is free, as is the one 10 000 above it, on which the nodes of a cluster talk to each other.

    Both are below those that a system gives to whoever asks for any, so that nobody is given them meanwhile.
    """
    return next(port for port in iter(lambda: randrange(10_000, 22_000), None) if is_free(port, port + 10_000))


def is_free(*ports: int) -> bool:
    with ExitStack() as sockets:
        try:
            for port in ports:
                sockets.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            return False
        return True


def is_whole(node: Any) -> bool:
    state = node.cluster("info")
    return bool(state["cluster_state"] == "ok" and state["cluster_known_nodes"] == "3")


def test_waiting_for_events_works_behind_sentinel(stack: ExitStack, tmp_path: Path) -> None:
    primary = server(stack, tmp_path / "primary")
    sentinel = sentinel_of(stack, tmp_path / "sentinel", primary)
    url = f"redis+sentinel://127.0.0.1:{sentinel}/jobs"
    assert asyncio.run(first_events(url)) == ["job.queued", "job.running"]


async def first_events(url: str) -> list[str]:
    """The first events of a job for a client that waits while another process runs it."""
    store = JobStore(connect(url))
    store.submissions.create(new_job())
    heard: list[str] = []
    async for event in JobWatch(url, AsyncScripts(url)).follow("job_1", "0"):
        if event and event.type == "job.queued":
            await asyncio.to_thread(store.attempts.dequeue, "animate", "worker")
        heard += [event.type] if event else []
        if len(heard) == 2:
            break
    return heard


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--appendonly", "no"], "append-only file"),
        (["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"], "allkeys-lru"),
    ],
)
def test_the_service_does_not_start_on_a_redis_that_would_lose_jobs(
    stack: ExitStack, tmp_path: Path, options: list[str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = server(stack, tmp_path / "redis", *options)
    with pytest.raises(RedisUnsafe, match=reason):
        require_durable(redis.Redis(port=port))
    monkeypatch.setenv("CINEMO_REDIS_URL", f"redis://127.0.0.1:{port}/0")
    monkeypatch.setenv("CINEMO_STORAGE_URL", "s3://videos")
    for command in (["-m", "service", "--port", str(free_port())], ["-m", "worker"]):
        refused = completed([PYTHON, *command])
        assert refused.returncode != 0
        assert reason in refused.stdout + refused.stderr


def test_a_durable_redis_is_accepted(redis_client: redis.Redis) -> None:
    require_durable(redis_client)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://host", "http://"),
        ("redis+other://host", r"redis\+other://"),
        ("redis+sentinel://host", "the primary's name"),
        ("redis+cluster://", "host"),
        ("unix://run/redis.sock", "three slashes"),
        ("redis://host/jobs", "'jobs'"),
        ("redis://one,two/0", "several hosts"),
        ("redis+cluster://host/1", "no databases but 0"),
        ("redis://host?protocol=3", "protocol: must be 2"),
        ("rediss://host?ssl_cert_reqs=never", "ssl_cert_reqs: must be one of none"),
        ("rediss://host?ssl_min_version=1.0", "ssl_min_version: must be TLSv1.2"),
        ("rediss+sentinel://host/jobs?sentinel_tls=maybe", "sentinel_tls: must be yes or no"),
        ("redis://host?ssl_ca_certs=ca.pem", "ssl_ca_certs.*TLS"),
        ("redis://host?sentinel_password=x", "sentinel_password.*redis.sentinel"),
        ("redis+sentinel://host/jobs?sentinel_tls=yes", "sentinel_tls.*rediss.sentinel"),
        ("redis://host?ssl_ca_cert=ca.pem", "ssl_ca_cert[^s]"),
    ],
)
def test_invalid_redis_urls_are_rejected(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(url)


@pytest.mark.parametrize("character", list("/?#[\u2100"))
def test_a_password_that_is_not_escaped_is_rejected_without_being_quoted(character: str) -> None:
    for login in (f":k{character}z", f"user:k{character}z"):
        with pytest.raises(ValueError, match="%XX") as refused:
            parse(f"redis://{login}@host:6379/0")
        assert not {"k", "z", f"k{character}z"} & set(re.split(r"\W", str(refused.value)))


def test_paths_and_names_are_decoded() -> None:
    assert parse("unix:///run/my%20redis.sock?db=1").path == "/run/my redis.sock"
    assert broker("unix:///run/my%20redis.sock?db=1").url == "redis+socket:///run/my%20redis.sock?virtual_host=1"
    assert parse("redis+sentinel://host/my%20jobs/0").primary == "my jobs"


def test_options_for_tls_may_be_written_as_by_other_clients() -> None:
    tls = parse("rediss://host?ssl_cert_reqs=CERT_NONE&ssl_min_version=TLSv1.3").tls
    assert tls == {"ssl_cert_reqs": "none", "ssl_min_version": ssl.TLSVersion.TLSv1_3}
    assert parse("rediss+sentinel://host/jobs?sentinel_tls=on").sentinel["ssl"]


def test_waiting_for_events_works_with_a_short_timeout_in_the_url(redis_client: redis.Redis, redis_port: int) -> None:
    JobStore(redis_client).submissions.create(new_job())
    url = f"redis://127.0.0.1:{redis_port}/0?socket_timeout=0.1"
    asyncio.run(JobWatch(url, AsyncScripts(url)).wait_for_end("job_1", 0.5))


def test_celery_uses_the_same_sentinels() -> None:
    same = broker("redis://:secret@host:1/2")
    assert (same.url, same.tls) == ("redis://:secret@host:1/2", None)
    link = broker("rediss+sentinel://:secret@one,two:7/jobs/2?ssl_ca_certs=ca.pem&sentinel_password=other")
    assert link.url == "sentinel://:secret@one:26379/2;sentinel://:secret@two:7/2"
    assert link.tls == {"ssl_cert_reqs": "required", "ssl_ca_certs": "ca.pem"}
    own = {name: link.options.pop(name) for name in ("master_name", "sentinel_kwargs")}
    assert (own["master_name"], own["sentinel_kwargs"]["password"]) == ("jobs", "other")
    assert link.options == same.options
    with pytest.raises(ValueError, match="CINEMO_BROKER_URL"):
        broker("redis+cluster://one,two")


def test_enqueueing_times_out_if_the_broker_is_unresponsive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RESPONSE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(QueueUnavailable, match="Timeout"):
        JobQueue(f"redis://127.0.0.1:{silent.getsockname()[1]}/0").enqueue("job_1")
