"""Measures what a job and an idle process cost Redis, storage and sender, by subtraction on the local stack.

The model is the built-in one, which takes no part in what is measured but for the number of its steps.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import redis
from prometheus_client import CollectorRegistry, generate_latest

from cinemo_client import Client
from cinemo_core.training.sources import photo_path
from deploy.local.stack import STOP_SECONDS, Stack, running_stack, worker_answers
from service.api.shared_metrics import SharedMetrics
from service.contract.record import Job, new_job_id
from service.contract.requests import AnimateRequest
from service.store.connections import connect
from service.store.keys import EVENTS
from service.store.queue import QUEUES
from service.store.workers import Worker, WorkerRegistry
from tests.jobs import JobStore
from tests.processes import wait_until
from tests.receiver import receiving

JOBS, STEPS = 15, 20
IDLE_SECONDS = 30
FLEET, SCRAPES = 1000, 10
JOBS_SECONDS = 600
PROMPT = "the steam rises slowly"


@dataclass(frozen=True)
class Load:
    """What Redis executed: commands, including those within scripts, and milliseconds of its CPU time."""

    commands: float
    cpu_ms: float

    def __sub__(self, other: "Load") -> "Load":
        return Load(self.commands - other.commands, self.cpu_ms - other.cpu_ms)

    def __mul__(self, factor: float) -> "Load":
        return Load(self.commands * factor, self.cpu_ms * factor)


@dataclass(frozen=True)
class Growth:
    """Costs of a job with so many steps, from its 202 to its webhook; idle processes' load per second."""

    job: Load
    steps: int
    record_bytes: float
    events_bytes: float
    """Of the record's, what its events take."""
    append_bytes: float
    stored_bytes: float
    sender_cpu_ms: float
    worker: Load
    elected: Load
    """What the elected worker asks for beyond that."""
    sender: Load
    scrape: Load
    scrape_seconds: float
    fleet: int


def measure(folder: Path) -> Growth:
    """Measure for a minute or two, mostly in the model."""
    with running_stack(folder, say=lambda _: None) as stack, receiving() as receiver, Client(stack.url) as client:
        database = connect(stack.environment["CINEMO_REDIS_URL"])
        sender = psutil.Process(stack.processes["webhooks"].pid)
        idle_cpu_ms = -process_cpu_ms(sender)
        idle = idle_load(database)
        idle_cpu_ms = (idle_cpu_ms + process_cpu_ms(sender)) / IDLE_SECONDS
        with stopped(stack, "webhooks"):
            without_sender = idle_load(database)
            with another_worker(stack):
                # The first one is elected and makes its rounds, which a fleet has once.
                worker = idle_load(database) - without_sender
            with stopped(stack, "worker"):
                # Redis itself, and our own asking; the API asks for nothing unless it is asked.
                nobody = idle_load(database)

        records, appended, stored = kept_bytes(database), append_bytes(database), folder_bytes(folder / "storage")
        before, cpu_ms, began = load_of(database), process_cpu_ms(sender), time.monotonic()
        for number in range(JOBS):
            client.animate(
                photo_path("coffee.png"), PROMPT, seed=number, num_inference_steps=STEPS, webhook_url=f"{receiver.url}/"
            )
        wait_until(lambda: len(receiver.received) == JOBS, JOBS_SECONDS, "all webhooks")
        seconds = time.monotonic() - began
        load, cpu_ms = load_of(database) - before - idle * seconds, process_cpu_ms(sender) - cpu_ms
        return Growth(
            job=load * (1 / JOBS),
            steps=STEPS,
            record_bytes=(kept_bytes(database) - records) / JOBS,
            events_bytes=kept_bytes(database, f"{EVENTS}*") / JOBS,
            append_bytes=(append_bytes(database) - appended) / JOBS,
            stored_bytes=(folder_bytes(folder / "storage") - stored) / JOBS,
            sender_cpu_ms=(cpu_ms - idle_cpu_ms * seconds) / JOBS,
            worker=worker,
            elected=without_sender - nobody - worker,
            sender=idle - without_sender,
            **scrape(stack.environment["CINEMO_REDIS_URL"]),
        )


def idle_load(database: "redis.Redis") -> Load:
    """Load of a second without work."""
    before, began = load_of(database), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return (load_of(database) - before) * (1 / (time.monotonic() - began))


@contextmanager
def another_worker(stack: Stack) -> Iterator[None]:
    """Run a second, idle worker within the context."""
    stack.spawn("worker-2", [sys.executable, "-m", "worker"])
    stack.wait_for("worker-2", lambda: worker_answers(stack.environment["CINEMO_REDIS_URL"], 2))
    yield
    process = stack.processes.pop("worker-2")
    process.terminate()
    process.wait(STOP_SECONDS)


@contextmanager
def stopped(stack: Stack, name: str) -> Iterator[None]:
    """Suspend a process within the context."""
    process = stack.processes[name]
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def scrape(redis_url: str) -> dict[str, Any]:
    """GET /metrics with a busy fleet: one worker and one running job per GPU."""
    database = connect(f"{redis_url.rpartition('/')[0]}/1")
    registry, jobs = WorkerRegistry(database), JobStore(database)
    queues = (QUEUES["animate"], QUEUES["edit"])
    fields = {"prompt": PROMPT, "seed": 1, "model": "tiny", "guidance_scale": 1.3, "num_inference_steps": STEPS}
    request = AnimateRequest.model_validate(fields)
    for number in range(FLEET):
        registry.beat(Worker(id=f"worker-{number}", queues=queues, since=datetime.now(UTC)), 600)
        job_id = new_job_id()
        jobs.submissions.create(
            Job(id=job_id, created_at=datetime.now(UTC), input_key=f"inputs/{job_id}/image.png", request=request)
        )
        assert jobs.attempts.dequeue("animate", f"worker-{number}")
    collected = CollectorRegistry(auto_describe=False)
    collected.register(SharedMetrics(database))
    before, began = load_of(database), time.monotonic()
    for _ in range(SCRAPES):
        text = generate_latest(collected).decode()
    assert f'cinemo_running_jobs{{kind="animate"}} {FLEET}.0' in text
    seconds = (time.monotonic() - began) / SCRAPES
    return {"scrape": (load_of(database) - before) * (1 / SCRAPES), "scrape_seconds": seconds, "fleet": FLEET}


def load_of(database: "redis.Redis") -> Load:
    """Load since Redis' start."""
    info: Any = database.info("all")
    commands = sum(each["calls"] for name, each in info.items() if name.startswith("cmdstat_"))
    return Load(commands, (info["used_cpu_user"] + info["used_cpu_sys"]) * 1000)


def kept_bytes(database: "redis.Redis", pattern: str = "*") -> int:
    """Memory of keys, without the server's varying buffers."""
    sizes: list[Any] = [database.memory_usage(key, samples=0) for key in database.scan_iter(pattern, count=1000)]
    return sum(size or 0 for size in sizes)


def append_bytes(database: "redis.Redis") -> int:
    info: Any = database.info("persistence")
    return int(info["aof_current_size"])


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def process_cpu_ms(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system) * 1000
