"""The service as processes on this machine: Redis, APIs, workers, webhook sender and receiver, for one case."""

import json
import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.store.connections import connect
from tests.faults.clients import Load
from tests.faults.orders import RUNS_FILE
from tests.faults.parts import Keeper, ManagedProcess
from tests.jobs import JobStore
from tests.processes import answers, wait_until

LEASE_SECONDS = 4
"""Of the suite; the default of 20 would only make it wait longer."""


@dataclass
class Rig:
    """What a case works with; `chance` depends on the run's seed and decides what is hit, and when."""

    folder: Path
    chance: random.Random
    settings: dict[str, str] = field(default_factory=dict)
    redis_process: subprocess.Popen[bytes] | None = None
    apis: list[ManagedProcess] = field(default_factory=list)
    api_ports: list[int] = field(default_factory=list)
    workers: list[ManagedProcess] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.redis_port = free_port()
        self.redis_url = f"redis://127.0.0.1:{self.redis_port}/0"
        self.runs_file = self.folder / "runs"
        self.runs_file.touch()
        self.parts: list[ManagedProcess] = []
        self.keeper = Keeper(self.parts)
        self.client = redis.Redis(port=self.redis_port)
        self.jobs = JobStore(connect(self.redis_url))

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CINEMO_")}
        return {
            **inherited,
            "CINEMO_REDIS_URL": self.redis_url,
            "CINEMO_STORAGE_URL": f"file://{self.folder / 'storage'}",
            "CINEMO_URL_SIGNING_KEY": "for the suite alone",
            "CINEMO_AUTH": "off",
            "CINEMO_LEASE_SECONDS": str(LEASE_SECONDS),
            "CINEMO_WORK_FOLDER": str(self.folder / "work"),
            RUNS_FILE: str(self.runs_file),
            **self.settings,
        }

    def start_redis(self) -> None:
        """Start Redis on its append-only file, configured as shipped; returns once it is loaded."""
        (self.folder / "redis").mkdir(exist_ok=True)
        with (self.folder / "redis.log").open("ab") as log:
            command = redis_command(self.redis_port, self.folder / "redis")
            self.redis_process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: answers_ping(self.redis_port), 60, "Redis")

    def kill_redis(self) -> None:
        assert self.redis_process
        self.redis_process.kill()
        self.redis_process.wait()

    def start_api(self, **environment: str) -> ManagedProcess:
        """Start an API, ready for requests."""
        port = free_port()
        public = {"CINEMO_PUBLIC_BASE_URL": f"http://127.0.0.1:{port}", **environment}
        api = self.part(f"api-{len(self.apis)}", "service", ["--port", str(port)], public)
        self.apis.append(api)
        self.api_ports.append(port)
        api.start()
        self.wait_for_api(port)
        return api

    def wait_for_api(self, port: int) -> None:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 120, "the API")

    def start_workers(self, count: int, **environment: str) -> None:
        """Start workers, which are restarted whenever they die."""
        for _ in range(count):
            worker = self.part(f"worker-{len(self.workers)}", "tests.faults.worker", [], environment)
            self.workers.append(worker)
            worker.start()
            worker.kept = True

    def start_sender(self) -> ManagedProcess:
        """Start a webhook sender."""
        sender = self.part("sender", "worker", ["--queue", "webhooks"], {})
        sender.start()
        sender.kept = True
        return sender

    def part(self, name: str, module: str, arguments: list[str], environment: dict[str, str]) -> ManagedProcess:
        around = {**self.environment, **environment}
        made = ManagedProcess(name, module, arguments, around, self.folder / f"{name}.log")
        self.parts.append(made)
        return made

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.api_ports]

    def load(self) -> Load:
        """Clients of all current APIs."""
        self.loads.append(Load(self.urls))
        return self.loads[-1]

    def runs(self) -> dict[int, int]:
        """How often the model ran, by the job's number."""
        counts: dict[int, int] = {}
        for line in self.runs_file.read_text().splitlines():
            number = json.loads(line)["number"]
            counts[number] = counts.get(number, 0) + 1
        return counts

    def stop(self) -> None:
        """Kill what is still running."""
        for load in self.loads:
            load.stop()
        self.keeper.stop()
        for part in self.parts:
            part.kill()
        if self.redis_process:
            self.kill_redis()


@contextmanager
def open_rig(folder: Path, seed: int, **settings: str) -> Iterator[Rig]:
    """A rig with its own Redis; nothing of it is kept except the logs if a guarantee was broken."""
    place = folder / secrets.token_hex(4)
    place.mkdir(parents=True)
    rig = Rig(place, random.Random(seed), settings)
    rig.start_redis()
    rig.keeper.start()
    try:
        yield rig
    except BaseException as error:
        error.add_note(f"logs are in {place}")
        raise
    else:
        shutil.rmtree(place, ignore_errors=True)
    finally:
        rig.stop()
