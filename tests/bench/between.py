"""How long the device waits between two jobs: one worker over an S3 server that answers late, as one elsewhere does."""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.contract.record import Job
from service.store.connections import connect
from tests.bench.service import make_photo
from tests.conftest import api_running, s3_running, s3_variables
from tests.jobs import JobStore, found
from tests.processes import running, wait_until
from tests.proxy import LATE_SECONDS, http_proxy
from tests.workers import worker

JOBS, WARM_UP = 12, 2
FORM = {"prompt": "the steam rises slowly", "num_inference_steps": "4", "detail": "off", "reuse": "false"}


@dataclass(frozen=True)
class Measured:
    """A way to run jobs: medians in milliseconds of the model, and of the time until the next job can start."""

    model: float
    period: float

    @property
    def cells(self) -> str:
        return f"{self.model:.0f} | {self.period:.0f} | {self.model / self.period:.0%}"


def between_lines() -> Iterator[str]:
    """This section of the page."""
    alone, queued = measure(make_photo())
    yield "## Between two jobs of one worker\n"
    yield f"{JOBS} jobs of 4 steps at 144x96, without detail, one thread for the model; the object storage answers each"
    yield f"call after {LATE_SECONDS * 1000:.0f} ms.\n"
    yield "| | the model, median ms | until the next can start, median ms | share of it in which the model runs |"
    yield "| --- | ---: | ---: | ---: |"
    yield f"| each posted once the last has ended | {alone.cells} |"
    yield f"| queued at once: each is stored beside the next one's steps | {queued.cells} |\n"


def measure(photo: bytes) -> tuple[Measured, Measured]:
    """Run the jobs one by one, then queued."""
    with tempfile.TemporaryDirectory(prefix="cinemo-bench-") as name, ExitStack() as stack:
        folder, port = Path(name), free_port()
        stack.enter_context(running(redis_command(port, folder), folder / "redis.log", lambda: answers_ping(port)))
        store = JobStore(connect(f"redis://127.0.0.1:{port}/0"))
        endpoint = stack.enter_context(s3_running(folder))
        storage = s3_variables(stack.enter_context(http_proxy(endpoint, late=1)).url)
        api = stack.enter_context(api_running(folder, port, storage))
        # So that the load beside it takes the other cores.
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("OMP_NUM_THREADS", "1")
            stack.enter_context(worker(folder, port, storage))
        alone = [run(api.url, photo, store, 1)[0] for _ in range(WARM_UP + JOBS)][WARM_UP:]
        queued = run(api.url, photo, store, JOBS)
    starts = sorted(job.started_at.timestamp() for job in queued if job.started_at)
    return (
        Measured(model_ms(alone), statistics.median(seconds_of(job) for job in alone) * 1000),
        Measured(model_ms(queued), statistics.median(later - earlier for earlier, later in pairwise(starts)) * 1000),
    )


def run(url: str, photo: bytes, store: JobStore, count: int) -> list[Job]:
    """Post so many jobs and return them when all have ended."""
    posted = [httpx.post(f"{url}/animate", data=FORM, files={"image": photo}, timeout=60) for _ in range(count)]
    ids = [answer.raise_for_status().json()["id"] for answer in posted]
    wait_until(lambda: all(found(store, each).ended for each in ids), 300, "the jobs' end")
    return [found(store, each) for each in ids]


def model_ms(jobs: list[Job]) -> float:
    return statistics.median(job.metrics.gpu_ms for job in jobs if job.metrics and job.metrics.gpu_ms is not None)


def seconds_of(job: Job) -> float:
    assert job.started_at
    assert job.finished_at
    return (job.finished_at - job.started_at).total_seconds()
