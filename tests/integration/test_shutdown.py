"""Processes that are told to stop: a worker finishes or releases its job, the API answers waiting clients."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis

from service.contract.record import Job
from tests.conftest import Api, api_running
from tests.integration.conftest import SMALL
from tests.jobs import JobStore
from tests.processes import wait_until
from tests.workers import worker
from worker.health import ALIVE
from worker.watchdog import REPLACE_EXIT_CODE

STEPS = 40


def job_of(store: JobStore, job_id: str) -> Job:
    job = store.queries.get(job_id)
    assert job is not None
    return job


@pytest.mark.timeout(900)
def test_a_stopping_worker_finishes_its_job_within_the_grace_period_or_releases_it(
    redis_port: int, tmp_path: Path, photo: bytes
) -> None:
    client = redis.Redis(port=redis_port)
    client.flushall()
    store = JobStore(client)
    with api_running(tmp_path, redis_port) as api:
        job_id = post(api, photo, STEPS)

        def runs(attempt: int) -> bool:
            return job_of(store, job_id).attempt == attempt

        with worker(tmp_path, redis_port, shutdown_grace_seconds="0.1") as process:
            wait_until(lambda: runs(1), 280, "the first attempt")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        job = job_of(store, job_id)
        assert (job.status, job.attempt, job.losses) == ("queued", 1, 0), "the grace period was over; no loss counts"

        with worker(tmp_path, redis_port, shutdown_grace_seconds="600") as process:
            wait_until(lambda: runs(2), 280, "the second attempt")
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: "Warm shutdown" in last_words(tmp_path), 30, "the worker's hearing of it")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        job = job_of(store, job_id)
        assert (job.status, job.attempt, job.losses) == ("queued", 2, 0), "told twice, it ended at once"

        with worker(tmp_path, redis_port, shutdown_grace_seconds="600", worker_max_rss_bytes="1") as process:
            wait_until(lambda: runs(3), 280, "the third attempt")
            process.send_signal(signal.SIGTERM)
            assert process.wait(280) == REPLACE_EXIT_CODE, "it has grown too large, too"
        assert (job_of(store, job_id).status, job_of(store, job_id).attempt) == ("succeeded", 3)
    assert [path.name for path in (tmp_path / "work").glob("*/*") if path.name != ALIVE] == []


def last_words(folder: Path) -> str:
    return (folder / "worker.log").read_text(errors="replace")[-1500:]


def post(api: Api, photo: bytes, steps: int) -> str:
    data = {"prompt": "waves", "num_inference_steps": steps, **SMALL}
    answer = httpx.post(f"{api.url}/animate", data=data, files={"image": photo}, timeout=60)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def test_the_api_answers_all_waiting_clients_before_it_stops(redis_port: int, tmp_path: Path, photo: bytes) -> None:
    with api_running(tmp_path, redis_port) as api, ThreadPoolExecutor(3) as pool:
        job_id = post(api, photo, 1)
        sending, hearing, stopping = threading.Event(), threading.Event(), threading.Event()
        request = httpx.Request("POST", f"{api.url}/animate", data={"prompt": "sway"}, files={"image": photo})
        body = request.read()

        def slowly() -> Iterator[bytes]:
            yield body[: len(body) // 2]
            sending.set()
            assert stopping.wait(60)
            yield body[len(body) // 2 :]

        def upload() -> httpx.Response:
            headers = {"Content-Type": request.headers["content-type"], "Content-Length": str(len(body))}
            return httpx.post(request.url, content=slowly(), headers=headers, timeout=60)

        def listen() -> str:
            headers = {"Accept": "text/event-stream"}
            with httpx.stream("GET", f"{api.url}/jobs/{job_id}/events", headers=headers, timeout=60) as stream:
                lines = stream.iter_lines()
                reported = [next(lines)]
                hearing.set()
                return "\n".join([*reported, *lines])

        uploaded = pool.submit(upload)
        polled = pool.submit(httpx.get, f"{api.url}/jobs/{job_id}?wait=60", timeout=70)
        # One connection reads the news for all who wait.
        wait_until(lambda: blocked(redis_port) == 1, 30, "the poll waiting")
        heard = pool.submit(listen)
        assert sending.wait(60)
        assert hearing.wait(60)
        api.process.send_signal(signal.SIGTERM)
        assert (polled.result(30).status_code, polled.result().json()["status"]) == (200, "queued")
        assert "job.queued" in heard.result(30)
        stopping.set()
        assert uploaded.result(30).status_code == 202, "it was begun before"
        assert api.process.wait(30) in (0, -signal.SIGTERM)


def test_a_draining_api_is_not_ready_but_still_serves_requests(redis_port: int, tmp_path: Path, photo: bytes) -> None:
    with api_running(tmp_path, redis_port, {"CINEMO_DRAIN_SECONDS": "3"}) as api:
        ready = httpx.get(f"{api.url}/readyz")
        assert (ready.status_code, ready.headers.get("connection")) == (200, None)
        api.process.send_signal(signal.SIGTERM)

        def refused() -> bool:
            answer = httpx.get(f"{api.url}/readyz")
            return answer.status_code == 503 and answer.json()["code"] == "SERVICE.DRAINING"

        wait_until(refused, 3, "being not ready")
        alive = httpx.get(f"{api.url}/healthz")
        assert (alive.status_code, alive.headers["connection"]) == (200, "close"), "the next one goes elsewhere"
        assert post(api, photo, 1)
        assert api.process.wait(30) in (0, -signal.SIGTERM)


def blocked(redis_port: int) -> int:
    return int(redis.Redis(port=redis_port).info("clients")["blocked_clients"])
