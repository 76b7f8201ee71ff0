"""What the benchmarks of the service run: Redis, and the API or a bare app to compare with, each on one core."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.store.connections import connect
from service.store.tenants import Scope, TenantStore
from tests.bench.load import Server, post_request
from tests.processes import PYTHON, answers, running

FORM = {"prompt": "the steam rises slowly", "seed": "7", "num_inference_steps": "2", "detail": "off"}


@dataclass(frozen=True)
class ApiServer(Server):
    """A running API, its Redis database, and a key that it accepts."""

    redis: "redis.Redis"
    token: str = ""

    def post(self, photo: bytes) -> bytes:
        return post_request("/animate", photo, {**FORM, "reuse": "false"}, self.token)


@dataclass(frozen=True)
class Testbed:
    """A folder, a Redis server, and the command that pins a process to one core."""

    folder: Path
    redis_port: int
    pin: list[str]

    def redis_url(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/{database}"

    def environment(self, database: int, port: int) -> dict[str, str]:
        return {
            **os.environ,
            "CINEMO_REDIS_URL": self.redis_url(database),
            "CINEMO_STORAGE_URL": f"file://{self.folder / 'storage'}",
            "CINEMO_URL_SIGNING_KEY": "only for the benchmark",
            "CINEMO_PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        }

    @contextmanager
    def service(
        self, database: int, pinned: bool = True, variables: Mapping[str, str] | None = None
    ) -> Iterator[ApiServer]:
        """Run the service's API, with API keys as in production and no worker.

        `variables` are added to its environment. The key has only one scope, since versions may have different ones.
        """
        port, client = free_port(), connect(self.redis_url(database))
        command = [*(self.pin if pinned else []), *service_command_line(str(port))]
        _, token = TenantStore(client).create_key("default", frozenset({Scope.ANIMATE}))
        log = self.folder / f"ours-{database}.log"
        environment = {**self.environment(database, port), **(variables or {})}
        with running(command, log, lambda: answers(f"http://127.0.0.1:{port}/healthz"), environment) as process:
            yield ApiServer(port, process.pid, client, token)

    @contextmanager
    def bare_app(self, database: int) -> Iterator[ApiServer]:
        """Run the bare app."""
        port = free_port()
        command = [*self.pin, *bare_app_command_line(str(port), self.redis_url(database))]
        with running(command, self.folder / "bare.log", lambda: answers(f"http://127.0.0.1:{port}/docs")) as process:
            yield ApiServer(port, process.pid, connect(self.redis_url(database)))


def service_command_line(port: str) -> list[str]:
    return [PYTHON, "-m", "service", "--port", port]


def bare_app_command_line(port: str, redis_url: str) -> list[str]:
    return [PYTHON, "-m", "tests.bench.bare", "--port", port, "--redis-url", redis_url]


@contextmanager
def open_testbed() -> Iterator[Testbed]:
    """Run one Redis with an append-only file, and keep this process off the APIs' core."""
    cores = sorted(os.sched_getaffinity(0))
    pin = ["taskset", "-c", str(cores[0])] if shutil.which("taskset") else []
    with tempfile.TemporaryDirectory(prefix="cinemo-bench-") as name:
        folder, port = Path(name), free_port()
        os.sched_setaffinity(0, cores[1:] or cores)
        try:
            with running(redis_command(port, folder), folder / "redis.log", lambda: answers_ping(port)):
                yield Testbed(folder, port, pin)
        finally:
            os.sched_setaffinity(0, cores)
