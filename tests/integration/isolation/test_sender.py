"""Hanging receivers delay no other webhooks, however many there are and however they are spread."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from service.contract.record import new_job_id
from service.contract.requests import JobOptions
from service.store.keys import WEBHOOK_NAMES
from service.webhooks.endpoints import EndpointStore
from service.webhooks.outbox import Outbox
from tests.integration.isolation.parts import OwnRedis, own_redis
from tests.jobs import JobStore, new_job
from tests.processes import PYTHON, running, wait_until
from tests.receiver import Receiver, receiving
from tests.systems import need_linux

need_linux("answers at every address of 127.0.0.0/8")

HUNG = 120
AT_ONCE, OF_HOST = 32, 4
SOON_SECONDS = 5
"""For a loaded machine; a receiver that hangs does so for 15 seconds, and those that hung here would for minutes."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis with a sender."""
    with own_redis(tmp_path / "redis") as server:
        environment = {
            **os.environ,
            "CINEMO_REDIS_URL": server.url,
            "CINEMO_STORAGE_URL": f"file://{tmp_path / 'storage'}",
            "CINEMO_URL_SIGNING_KEY": "for tests alone",
            "CINEMO_OUTBOUND_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
            "CINEMO_WORK_FOLDER": str(tmp_path / "work"),
            "CINEMO_WEBHOOK_CONCURRENCY": str(AT_ONCE),
            "CINEMO_WEBHOOK_CONCURRENCY_PER_HOST": str(OF_HOST),
        }
        command, log = [PYTHON, "-m", "worker", "--queue", "webhooks"], tmp_path / "sender.log"
        with running(command, log, lambda: b"sending webhooks" in log.read_bytes(), environment):
            yield server


@pytest.fixture
def tar_pits() -> Iterator[list[int]]:
    """Ports on all loopback addresses that accept connections and never respond."""
    pits = [socket.create_server(("0.0.0.0", 0), backlog=1024) for _ in range(4)]
    yield [pit.getsockname()[1] for pit in pits]
    for pit in pits:
        pit.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving("0.0.0.0") as receiver:
        yield receiver


def by_path(ports: list[int], number: int) -> str:
    return f"http://127.0.0.1:{ports[0]}/{number}"


def by_port(ports: list[int], number: int) -> str:
    return f"http://127.0.0.1:{ports[number % len(ports)]}/{number}"


def by_host(ports: list[int], number: int) -> str:
    return f"http://127.0.{1 + number // 200}.{1 + number % 200}:{ports[0]}/hook"


def at_address(receiver: Receiver, address: str) -> str:
    port = receiver.url.rpartition(":")[2]
    return f"http://{address}:{port}"


def canceled(client: redis.Redis, tenant: str, url: str | None) -> str:
    """A job that was just canceled, with a webhook URL."""
    store = JobStore(client)
    job = new_job(new_job_id()).model_copy(update={"tenant": tenant, "options": JobOptions(webhook_url=url)})
    store.submissions.create(job)
    store.cancel(job)
    return job.id


def on_their_way(client: redis.Redis, tenant: str) -> int:
    """A tenant's deliveries that senders have claimed."""
    outbox, found = Outbox(client), 0
    for key in client.scan_iter(WEBHOOK_NAMES["sending"] + "*"):
        members: Any = client.zrange(key, 0, -1)
        for each in members:
            delivery = outbox.get(each.decode())
            found += delivery is not None and delivery.tenant == tenant
    return found


def heard_soon(client: redis.Redis, tenant: str, receiver: Receiver) -> None:
    """A tenant's new webhook arrives."""
    before, started = len(receiver.received), time.monotonic()
    canceled(client, tenant, at_address(receiver, "127.9.9.9"))
    wait_until(lambda: len(receiver.received) > before, 60, "the webhook")
    assert time.monotonic() - started < SOON_SECONDS


@pytest.mark.parametrize("spread", [by_path, by_port, by_host])
def test_one_tenants_hanging_receivers_delay_no_other_tenant(
    server: OwnRedis, tar_pits: list[int], receiver: Receiver, spread: Callable[[list[int], int], str]
) -> None:
    for number in range(HUNG):
        canceled(server.client, "many", spread(tar_pits, number))
    share = AT_ONCE // 2 if spread is by_host else OF_HOST
    wait_until(lambda: on_their_way(server.client, "many") >= share, 30, "a full share")
    for tenant in ("one", "two", "three"):
        heard_soon(server.client, tenant, receiver)
    assert on_their_way(server.client, "many") <= share
    if spread is not by_host:
        heard_soon(server.client, "many", receiver)


def test_many_tenants_with_hanging_receivers_leave_slots_for_another(
    server: OwnRedis, tar_pits: list[int], receiver: Receiver
) -> None:
    for number in range(HUNG):
        canceled(server.client, f"tenant-{number % 10}", by_host(tar_pits, number))
    wait_until(lambda: all(on_their_way(server.client, f"tenant-{each}") for each in range(10)), 30, "their shares")
    heard_soon(server.client, "another", receiver)


def test_redeliveries_in_a_loop_delay_no_other_tenant(
    server: OwnRedis, tar_pits: list[int], receiver: Receiver
) -> None:
    endpoints = EndpointStore(server.client)
    for number in range(20):
        endpoints.add("many", by_host(tar_pits, number))
    jobs = [canceled(server.client, "many", None) for _ in range(5)]
    outbox = Outbox(server.client)
    for job_id in jobs * 5:
        outbox.redeliver_job(job_id)
    heard_soon(server.client, "one", receiver)


def test_deliveries_written_by_an_earlier_version_are_sent(server: OwnRedis, receiver: Receiver) -> None:
    client = server.client
    job_id = canceled(client, "old", at_address(receiver, "127.0.0.1"))
    wait_until(lambda: len(receiver.received) == 1)
    (delivery,) = Outbox(client).of_job(job_id)
    wait_until(lambda: client.hget(WEBHOOK_NAMES["delivery"] + delivery.id, "status") == b"delivered")
    # As its scripts leave it: pending, and the receiver in one set of all.
    client.hset(WEBHOOK_NAMES["delivery"] + delivery.id, "status", "pending")
    client.zadd(WEBHOOK_NAMES["pending"] + delivery.receiver, {delivery.id: 0})
    client.zadd(WEBHOOK_NAMES["due"], {delivery.receiver: 0})
    wait_until(lambda: receiver.ids == [delivery.id] * 2, what="the delivery")
    assert not client.exists(WEBHOOK_NAMES["due"])
