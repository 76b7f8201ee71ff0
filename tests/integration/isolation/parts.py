"""A Redis of a test's own, which it may stop, and tenants with keys."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import redis

from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.store.tenants import Scope, TenantStore
from tests.processes import running

QUIET_SECONDS = 2.0
"""Within which a request is answered 503 where Redis is silent."""
SLACK_SECONDS = 1.0
"""For a machine with much else to do."""


@dataclass(frozen=True)
class OwnRedis:
    """A server that no other test uses."""

    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Frozen by SIGSTOP: the kernel still accepts its connections, but nobody responds."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    with running(redis_command(port, folder), folder / "log", lambda: answers_ping(port)) as process:
        yield OwnRedis(port, process)


def key_of(client: redis.Redis, tenant: str) -> dict[str, str]:
    """The headers with a new key of a tenant."""
    _, token = TenantStore(client).create_key(tenant, frozenset({Scope.ADMIN}))
    return {"Authorization": f"Bearer {token}"}


def timed(ask: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    """A response, and the seconds that it took."""
    started = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - started


def at_once(count: int, do: Callable[[int], object]) -> None:
    """Do something so many times concurrently, each in a thread; returns when all are done."""
    threads = [threading.Thread(target=do, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
