"""What the service adds to the model: the API against a bare app, the time to the first step, Redis' memory.

Both fronts run as one process on one core of their own, over one Redis; the load comes from other cores, if
there are any.
"""

import io
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
import torch
from PIL import Image

from cinemo_core import CinemoPipeline
from cinemo_core.training.sources import photo_path
from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping, worker_answers
from service.contract.record import Job, new_job_id
from service.contract.requests import AnimateRequest
from service.store.connections import connect
from service.store.tenants import Scope, TenantStore
from tests.bench.load import Connection, Load, Server, get_request, job_of, load, median_load, post_request
from tests.bench.machine import cpu_name
from tests.bench.rivals.servers import RIVALS
from tests.jobs import JobStore
from tests.processes import PYTHON, answers, rewrites, running, wait_until

RUNS = 5
CONNECTIONS = 8
POSTS, GETS = 160, 1600
RIVAL_DATABASE = 5
BACKLOGS = (10, 1_000, 100_000)
LONE_POSTS = 300
FIRST_STEPS, WARM_UP = 11, 2
PHOTO_BYTES = 200_000
FORM = {"prompt": "the steam rises slowly", "seed": "7", "num_inference_steps": "2", "detail": "off"}


@dataclass(frozen=True)
class Front(Server):
    """A running API, its Redis database, and a key that it accepts."""

    redis: "redis.Redis"
    token: str = ""

    def post(self, photo: bytes) -> bytes:
        return post_request("/animate", photo, {**FORM, "reuse": "false"}, self.token)


@dataclass(frozen=True)
class House:
    """Where everything runs: a folder, a Redis, and the command that pins a process to one core."""

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
            "CINEMO_URL_SIGNING_KEY": "for the benchmark alone",
            "CINEMO_PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        }

    @contextmanager
    def ours(self, database: int, pinned: bool = True, variables: Mapping[str, str] | None = None) -> Iterator[Front]:
        """The service's front, with API keys as in production and no worker.

        `variables` are added to its environment. Versions may not know all of each other's scopes, so the key has one.
        """
        port, client = free_port(), connect(self.redis_url(database))
        command = [*(self.pin if pinned else []), *serve_ours(str(port))]
        _, token = TenantStore(client).create_key("default", frozenset({Scope.ANIMATE}))
        log = self.folder / f"ours-{database}.log"
        environment = {**self.environment(database, port), **(variables or {})}
        with running(command, log, lambda: answers(f"http://127.0.0.1:{port}/healthz"), environment) as process:
            yield Front(port, process.pid, client, token)

    @contextmanager
    def bare(self, database: int) -> Iterator[Front]:
        """The bare app."""
        port = free_port()
        command = [*self.pin, *serve_bare(str(port), self.redis_url(database))]
        with running(command, self.folder / "bare.log", lambda: answers(f"http://127.0.0.1:{port}/docs")) as process:
            yield Front(port, process.pid, connect(self.redis_url(database)))


def serve_ours(port: str) -> list[str]:
    return [PYTHON, "-m", "service", "--port", port]


def serve_bare(port: str, redis_url: str) -> list[str]:
    return [PYTHON, "-m", "tests.bench.bare", "--port", port, "--redis-url", redis_url]


@contextmanager
def housed() -> Iterator[House]:
    """One Redis with an append-only file, and this process kept off the APIs' core."""
    cores = sorted(os.sched_getaffinity(0))
    pin = ["taskset", "-c", str(cores[0])] if shutil.which("taskset") else []
    with tempfile.TemporaryDirectory(prefix="cinemo-bench-") as name:
        folder, port = Path(name), free_port()
        os.sched_setaffinity(0, cores[1:] or cores)
        try:
            with running(redis_command(port, folder), folder / "redis.log", lambda: answers_ping(port)):
                yield House(folder, port, pin)
        finally:
            os.sched_setaffinity(0, cores)


def service_lines() -> Iterator[str]:
    """The lines of this section."""
    photo = make_photo()
    yield "## The service\n"
    yield f"On {cpu_name()}, {os.cpu_count()} cores, at a load of {os.getloadavg()[0]:.1f} beforehand;"
    yield f"medians of {RUNS} runs, with the competitors taking turns.\n"
    with housed() as house:
        yield from front_lines(house, photo)
        yield from rival_lines(house, photo)
        yield from backlog_lines(house, photo)
    yield from first_step_lines(photo)


def front_lines(house: House, photo: bytes) -> Iterator[str]:
    """Requests per second and latency of our API and of the bare app."""
    ours_command, bare_command = (
        " ".join([*house.pin, "python", *command[1:]])
        for command in (serve_ours("PORT"), serve_bare("PORT", house.redis_url(1)))
    )
    yield f"### Against a bare FastAPI app, {CONNECTIONS} connections\n"
    yield f"- ours: `{ours_command}`, with API keys and files on local disk"
    yield f"- bare: `{bare_command}`, which stores the photo unchanged in the same Redis\n"
    yield "| | requests per second | relative to bare | p50, ms | p99, ms | relative to bare | CPU per request, ms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    with house.ours(0) as ours, house.bare(1) as bare:
        rivals = (bare, ours)
        posts = [(front, front.post(photo)) for front in rivals]
        gets = [(front, get_request(f"/jobs/{new_job(front, photo)}", front.token)) for front in rivals]
        for name, requests, count in ((f"POST of {len(photo) // 1000} KB", posts, POSTS), ("GET of a job", gets, GETS)):
            base, own = in_turns(requests, CONNECTIONS, count)
            yield row(f"{name}, bare", base, base)
            yield row(f"{name}, ours", own, base)
    yield ""


def rival_lines(house: House, photo: bytes) -> Iterator[str]:
    """Requests per second and latency of our API and of model servers that return an ID."""
    yield f"### Against model servers with tasks, {CONNECTIONS} connections\n"
    yield "Each takes a photo and a prompt, keeps the photo and answers with an ID, before any model runs. Each has one"
    yield "core. The others need no key, look at no photo and flush nothing to the disk.\n"
    yield "- BentoML: a task of one worker, `POST /animate/submit`; results are kept in SQLite"
    yield "- Cog: `POST /predictions` with `Prefer: respond-async` and the photo as a data URL; with its default of one"
    yield "  prediction at a time, others are refused with 409 and sent again\n"
    yield "| | accepted per second | relative to ours | p50, ms | p99, ms | CPU per request, ms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    with house.ours(RIVAL_DATABASE) as ours, ExitStack() as stack:
        requests: list[tuple[Server, bytes]] = [(ours, ours.post(photo))]
        for rival in RIVALS:
            server = stack.enter_context(rival.serving(house.folder / rival.name, house.pin))
            requests.append((server, rival.request(photo, FORM["prompt"])))
        loads = in_turns(requests, CONNECTIONS, POSTS)
        for name, met in zip(("ours", *(rival.requirement for rival in RIVALS)), loads, strict=True):
            figures = f"{met.rate:.0f} | {met.rate / loads[0].rate:.2f} | {met.p50_ms:.1f} | {met.p99_ms:.1f}"
            yield f"| {name.replace('==', ' ')} | {figures} | {met.cpu_ms:.2f} |"
    yield ""


def backlog_lines(house: House, photo: bytes) -> Iterator[str]:
    """Latency of a POST behind queues of several lengths, and Redis memory of each queued job."""
    yield "### Behind a queue, one connection\n"
    yield "| queued jobs | POST p50, ms | POST p99, ms | p99 relative to the shortest queue | CPU per request, ms |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    with ExitStack() as stack:
        fronts = [stack.enter_context(house.ours(2 + number)) for number in range(len(BACKLOGS))]
        job_bytes = [fill(front, count) for front, count in zip(fronts, BACKLOGS, strict=True)][-1]
        # What was queued in a minute here comes over hours there: its append-only file is rewritten before, not during.
        wait_until(lambda: not rewrites(fronts[0].redis), 120, "the end of Redis' rewriting its append-only file")
        met = in_turns([(front, front.post(photo)) for front in fronts], 1, LONE_POSTS)
        for own, count in zip(met, BACKLOGS, strict=True):
            of_shortest = own.p99_ms / met[0].p99_ms
            yield f"| {count:,} | {own.p50_ms:.1f} | {own.p99_ms:.1f} | {of_shortest:.2f} | {own.cpu_ms:.1f} |"
        messages: Any = fronts[0].redis.memory_usage("animate", samples=0)
        message_bytes = messages / int(fronts[0].redis.llen("animate"))
    yield f"\nA waiting job takes {job_bytes + message_bytes:,.0f} bytes of Redis: {job_bytes:,.0f} for the record,"
    yield f"events and indexes, {message_bytes:,.0f} for its message.\n"


def first_step_lines(photo: bytes) -> Iterator[str]:
    """From the answer 202 until the end of the first denoising step, with one idle worker.

    The model has one thread, here and there: more of them would wait for the front and Redis to leave their cores.
    """
    own_ms = model_start_ms(photo)
    with tempfile.TemporaryDirectory(prefix="cinemo-bench-") as name, ExitStack() as stack:
        house = House(Path(name), free_port(), [])
        redis_log = house.folder / "redis.log"
        stack.enter_context(
            running(redis_command(house.redis_port, house.folder), redis_log, lambda: answers_ping(house.redis_port))
        )
        front = stack.enter_context(house.ours(0, pinned=False))
        url = house.redis_url(0)
        command, log = [PYTHON, "-m", "worker"], house.folder / "worker.log"
        environment = {**house.environment(0, front.port), "OMP_NUM_THREADS": "1"}
        stack.enter_context(running(command, log, lambda: worker_answers(url), environment))
        taken, stepped = zip(*(waits_ms(front, photo) for _ in range(WARM_UP + FIRST_STEPS)), strict=True)
    taken_ms, stepped_ms = statistics.median(taken[WARM_UP:]), statistics.median(stepped[WARM_UP:])
    yield f"### From the 202 to the first step, with an idle worker, {FIRST_STEPS} jobs, one thread for the model\n"
    yield "| | median, ms |"
    yield "| --- | ---: |"
    yield f"| until a worker has dequeued the job | {shown_ms(taken_ms)} |"
    yield f"| until the end of the first denoising step | {stepped_ms:.0f} |"
    yield f"| the model alone, until the end of its first step | {own_ms:.0f} |"
    yield f"| what the service adds: the difference of the last two | {shown_ms(stepped_ms - own_ms)} |\n"


def shown_ms(milliseconds: float) -> str:
    """Costs can't be negative: a negative measurement is smaller than its error."""
    return f"{milliseconds:.0f}" if milliseconds >= 1 else "too small to measure"


def in_turns(requests: Sequence[tuple[Server, bytes]], connections: int, count: int) -> list[Load]:
    """The median load of each server, measured alternately after a warm-up."""
    rounds = [[load(server, request, connections, count) for server, request in requests] for _ in range(RUNS + 1)]
    return [median_load(loads) for loads in zip(*rounds[1:], strict=True)]


def row(name: str, own: Load, base: Load) -> str:
    rates = f"{own.rate:.0f} | {own.rate / base.rate:.2f}"
    latencies = f"{own.p50_ms:.1f} | {own.p99_ms:.1f} | {own.p99_ms / base.p99_ms:.2f}"
    return f"| {name} | {rates} | {latencies} | {own.cpu_ms:.2f} |"


def new_job(front: Front, photo: bytes) -> str:
    connection = Connection(front.port)
    try:
        return job_of(connection.call(front.post(photo)))
    finally:
        connection.close()


def fill(front: Front, count: int) -> float:
    """Queue so many jobs; returns the bytes of each, without its message."""
    store, before = JobStore(front.redis), used_bytes(front.redis)
    fields = {"guidance_scale": 1.3, "model": "tiny", **FORM}
    request = AnimateRequest.model_validate(fields)
    for _ in range(count):
        job_id = new_job_id()
        store.submissions.create(
            Job(id=job_id, created_at=datetime.now(UTC), input_key=f"inputs/{job_id}/image.png", request=request)
        )
    return (used_bytes(front.redis) - before) / count


def used_bytes(client: "redis.Redis") -> int:
    info: Any = client.info("memory")
    return int(info["used_memory"])


def waits_ms(front: Front, photo: bytes) -> list[float]:
    """Milliseconds from a job's 202 to its start and to the end of its first step; waits for its end."""
    job_id, accepted = new_job(front, photo), time.time()
    connection = Connection(front.port)
    connection.call(get_request(f"/jobs/{job_id}?wait=60", front.token))
    connection.close()
    events = JobStore(front.redis).queries.events(job_id)
    times = {kind: next(each.at for each in events if each.type == kind) for kind in ("job.running", "progress")}
    return [(moment.timestamp() - accepted) * 1000 for moment in times.values()]


def model_start_ms(photo: bytes) -> float:
    """The model's own time from a call to the end of its first step, in this process."""
    pipe = CinemoPipeline.from_pretrained("tiny")
    pipe.set_progress_bar_config(disable=True)

    def run() -> float:
        started = time.perf_counter()
        ended: list[float] = []

        def note(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
            ended.append(time.perf_counter())
            return state

        image = Image.open(io.BytesIO(photo))
        pipe(
            image,
            FORM["prompt"],
            num_inference_steps=2,
            detail="off",
            guidance_scale=1.3,
            seed=7,
            callback_on_step_end=note,
        )
        return (ended[0] - started) * 1000

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = [run() for _ in range(WARM_UP + FIRST_STEPS)]
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times[WARM_UP:])


def make_photo() -> bytes:
    """A JPEG of 1200x800, of the quality that gives about the requested size."""
    with Image.open(photo_path("coffee.png")) as small:
        picture = small.convert("RGB").resize((1200, 800), Image.Resampling.LANCZOS)
    encoded = []
    for quality in range(70, 99, 2):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        encoded.append(buffer.getvalue())
    return min(encoded, key=lambda data: abs(len(data) - PHOTO_BYTES))
