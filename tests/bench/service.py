"""The service's overhead: the API compared with a bare app, the time to the first step, Redis' memory.

Each server is one process on the same core, with the same Redis; the load comes from other cores, if there are any.
"""

import io
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
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
from tests.bench.load import Connection, Load, Server, get_request, job_of, load, median_load
from tests.bench.machine import cpu_name
from tests.bench.rivals.servers import RIVALS
from tests.bench.testbed import FORM, ApiServer, Testbed, bare_app_command_line, open_testbed, service_command_line
from tests.jobs import JobStore
from tests.processes import PYTHON, rewrites, running, wait_until

RUNS = 5
CONNECTIONS = 8
POSTS, GETS = 160, 1600
RIVAL_DATABASE = 5
BACKLOGS = (10, 1_000, 100_000)
NO_QUOTA = {"CINEMO_TENANT_MAX_RECORDS": "1000000", "CINEMO_TENANT_MAX_RECORD_BYTES": "1000000000000"}
LONE_POSTS = 300
FIRST_STEPS, WARM_UP = 11, 2
PHOTO_BYTES = 200_000


def service_lines() -> Iterator[str]:
    """The section of the page about the service."""
    photo = make_photo()
    yield "## The service\n"
    yield f"On {cpu_name()}, {os.cpu_count()} cores, at a load of {os.getloadavg()[0]:.1f} beforehand;"
    yield f"medians of {RUNS} runs, with the competitors taking turns.\n"
    with open_testbed() as testbed:
        yield from bare_app_lines(testbed, photo)
        yield from model_server_lines(testbed, photo)
        yield from backlog_lines(testbed, photo)
    yield from first_step_lines(photo)


def bare_app_lines(testbed: Testbed, photo: bytes) -> Iterator[str]:
    """Requests per second and latency of our API and of the bare app."""
    service_command, bare_command = (
        " ".join([*testbed.pin, "python", *command[1:]])
        for command in (service_command_line("PORT"), bare_app_command_line("PORT", testbed.redis_url(1)))
    )
    yield f"### Against a bare FastAPI app, {CONNECTIONS} connections\n"
    yield f"- ours: `{service_command}`, with API keys and files on local disk"
    yield f"- bare: `{bare_command}`, which stores the photo unchanged in the same Redis\n"
    yield "| | requests per second | relative to bare | p50, ms | p99, ms | relative to bare | CPU per request, ms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    with testbed.service(0) as ours, testbed.bare_app(1) as bare:
        rivals = (bare, ours)
        posts = [(server, server.post(photo)) for server in rivals]
        gets = [(server, get_request(f"/jobs/{new_job(server, photo)}", server.token)) for server in rivals]
        for name, requests, count in ((f"POST of {len(photo) // 1000} KB", posts, POSTS), ("GET of a job", gets, GETS)):
            base, own = in_turns(requests, CONNECTIONS, count)
            yield row(f"{name}, bare", base, base)
            yield row(f"{name}, ours", own, base)
    yield ""


def model_server_lines(testbed: Testbed, photo: bytes) -> Iterator[str]:
    """Requests per second and latency of our API and of model servers that return an ID."""
    yield f"### Against model servers with tasks, {CONNECTIONS} connections\n"
    yield "Each takes a photo and a prompt, keeps the photo and answers with an ID, before any model runs. Each has one"
    yield "core. The others need no key, look at no photo and flush nothing to the disk.\n"
    yield "- BentoML: a task of one worker, `POST /animate/submit`; results are kept in SQLite"
    yield "- Cog: `POST /predictions` with `Prefer: respond-async` and the photo as a data URL; with its default of one"
    yield "  prediction at a time, others are refused with 409 and sent again\n"
    yield "| | accepted per second | relative to ours | p50, ms | p99, ms | CPU per request, ms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    with testbed.service(RIVAL_DATABASE) as ours, ExitStack() as stack:
        requests: list[tuple[Server, bytes]] = [(ours, ours.post(photo))]
        for rival in RIVALS:
            server = stack.enter_context(rival.serving(testbed.folder / rival.name, testbed.pin))
            requests.append((server, rival.request(photo, FORM["prompt"])))
        loads = in_turns(requests, CONNECTIONS, POSTS)
        for name, met in zip(("ours", *(rival.requirement for rival in RIVALS)), loads, strict=True):
            figures = f"{met.rate:.0f} | {met.rate / loads[0].rate:.2f} | {met.p50_ms:.1f} | {met.p99_ms:.1f}"
            yield f"| {name.replace('==', ' ')} | {figures} | {met.cpu_ms:.2f} |"
    yield ""


def backlog_lines(testbed: Testbed, photo: bytes) -> Iterator[str]:
    """Latency of a POST behind queues of several lengths, and Redis memory of each queued job."""
    yield "### Behind a queue, one connection\n"
    yield "| queued jobs | POST p50, ms | POST p99, ms | p99 relative to the shortest queue | CPU per request, ms |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    with ExitStack() as stack:
        servers = [
            stack.enter_context(testbed.service(2 + number, variables=NO_QUOTA)) for number in range(len(BACKLOGS))
        ]
        job_bytes = [fill(server, count) for server, count in zip(servers, BACKLOGS, strict=True)][-1]
        # In production, such a backlog grows over hours, so the rewrite of the append-only file is not measured.
        wait_until(lambda: not rewrites(servers[0].redis), 120, "the end of Redis' rewriting its append-only file")
        met = in_turns([(server, server.post(photo)) for server in servers], 1, LONE_POSTS)
        for own, count in zip(met, BACKLOGS, strict=True):
            of_shortest = own.p99_ms / met[0].p99_ms
            yield f"| {count:,} | {own.p50_ms:.1f} | {own.p99_ms:.1f} | {of_shortest:.2f} | {own.cpu_ms:.1f} |"
        messages: Any = servers[0].redis.memory_usage("animate", samples=0)
        message_bytes = messages / int(servers[0].redis.llen("animate"))
    yield f"\nA waiting job takes {job_bytes + message_bytes:,.0f} bytes of Redis: {job_bytes:,.0f} for the record,"
    yield f"events and indexes, {message_bytes:,.0f} for its message.\n"


def first_step_lines(photo: bytes) -> Iterator[str]:
    """The time from the response 202 to the end of the first denoising step, with one idle worker.

    The model has one thread in both measurements: more would compete with the API and Redis for cores.
    """
    own_ms = model_start_ms(photo)
    with tempfile.TemporaryDirectory(prefix="cinemo-bench-") as name, ExitStack() as stack:
        testbed = Testbed(Path(name), free_port(), [])
        redis_log = testbed.folder / "redis.log"
        stack.enter_context(
            running(
                redis_command(testbed.redis_port, testbed.folder), redis_log, lambda: answers_ping(testbed.redis_port)
            )
        )
        server = stack.enter_context(testbed.service(0, pinned=False))
        url = testbed.redis_url(0)
        command, log = [PYTHON, "-m", "worker"], testbed.folder / "worker.log"
        environment = {**testbed.environment(0, server.port), "OMP_NUM_THREADS": "1"}
        stack.enter_context(running(command, log, lambda: worker_answers(url), environment))
        taken, stepped = zip(*(waits_ms(server, photo) for _ in range(WARM_UP + FIRST_STEPS)), strict=True)
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


def new_job(server: ApiServer, photo: bytes) -> str:
    connection = Connection(server.port)
    try:
        return job_of(connection.call(server.post(photo)))
    finally:
        connection.close()


def fill(server: ApiServer, count: int) -> float:
    """Queue this many jobs; returns the bytes that each takes, without its message."""
    store, before = JobStore(server.redis), used_bytes(server.redis)
    fields = {"guidance_scale": 1.3, "model": "tiny", **FORM}
    request = AnimateRequest.model_validate(fields)
    for _ in range(count):
        job_id = new_job_id()
        store.submissions.create(
            Job(id=job_id, created_at=datetime.now(UTC), input_key=f"inputs/{job_id}/image.png", request=request)
        )
    return (used_bytes(server.redis) - before) / count


def used_bytes(client: "redis.Redis") -> int:
    info: Any = client.info("memory")
    return int(info["used_memory"])


def waits_ms(server: ApiServer, photo: bytes) -> list[float]:
    """Milliseconds from a job's 202 to its start and to the end of its first step; waits for its end."""
    job_id, accepted = new_job(server, photo), time.time()
    connection = Connection(server.port)
    connection.call(get_request(f"/jobs/{job_id}?wait=60", server.token))
    connection.close()
    events = JobStore(server.redis).queries.events(job_id)
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
    """A JPEG of 1200x800, at the quality that comes closest to `PHOTO_BYTES`."""
    with Image.open(photo_path("coffee.png")) as small:
        picture = small.convert("RGB").resize((1200, 800), Image.Resampling.LANCZOS)
    encoded = []
    for quality in range(70, 99, 2):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        encoded.append(buffer.getvalue())
    return min(encoded, key=lambda data: abs(len(data) - PHOTO_BYTES))
