"""A sender that tests run step by step, and receivers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from service.webhooks.endpoints import EndpointStore
from service.webhooks.outbox import Outbox
from tests.clocks import Clock
from tests.integration.webhooks.post import Post
from tests.jobs import JobStore
from tests.receiver import Receiver, receiving
from tests.settings import settings_for
from worker.deliver import make_deliverer


@pytest.fixture
def post(redis_port: int, redis_client: redis.Redis, tmp_path: Path) -> Post:
    clock = Clock()
    made = make_deliverer(settings_for(redis_port, tmp_path))
    outbox = Outbox(redis_client, clock)
    return Post(
        JobStore(redis_client),
        EndpointStore(redis_client),
        outbox,
        replace(made, outbox=outbox, max_concurrent=8),
        clock,
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
