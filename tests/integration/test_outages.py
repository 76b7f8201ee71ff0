"""A running service survives outages of Redis and storage: it waits, reports them, and recovers by itself."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.contract.states import ENDED
from service.store.keys import LEASES
from tests.conftest import BUCKET, CREDENTIALS, Api, api_running
from tests.processes import PYTHON, running, wait_until
from tests.proxy import HttpProxy, TcpProxy, http_proxy, tcp_proxy

pytestmark = pytest.mark.timeout(900)

STEPS, MANY_STEPS = 12, 150


@dataclass
class Outages:
    """An API and a worker that reach Redis and S3 through proxies."""

    api: Api
    redis_folder: Path
    redis_port: int
    link: TcpProxy
    s3: HttpProxy
    worker_log: Path
    redis_process: "subprocess.Popen[bytes]"
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.api.url, timeout=30)

    def post(self, photo: bytes, steps: int = 1) -> httpx.Response:
        data = {"prompt": "the camera pans left", "num_inference_steps": steps, "detail": "off"}
        return self.http.post("/animate", data=data, files={"image": ("photo.jpg", photo)})

    def animate(self, photo: bytes, steps: int = 1) -> str:
        """POST a job until it is accepted; every rejection must be retryable."""
        answers: list[httpx.Response] = []

        def accepted() -> bool:
            answers.append(self.post(photo, steps))
            if answers[-1].status_code == 202:
                return True
            assert (answers[-1].status_code, answers[-1].json()["retryable"]) == (503, True), answers[-1].text
            assert int(answers[-1].headers["retry-after"]) > 0
            return False

        wait_until(accepted, 60, "the job's being accepted")
        job_id: str = answers[-1].json()["id"]
        return job_id

    def get(self, job_id: str) -> dict[str, Any]:
        """The job, retrying while the API reports that Redis is unavailable."""
        found: list[dict[str, Any]] = []

        def answered() -> bool:
            answer = self.http.get(f"/jobs/{job_id}")
            assert answer.status_code in (200, 503), answer.text
            found.append(answer.json())
            return answer.status_code == 200

        wait_until(answered, 60, "an answer")
        return found[-1]

    def wait_for(self, job_id: str) -> dict[str, Any]:
        wait_until(lambda: self.get(job_id)["status"] in ENDED, 280, f"the end of {job_id}")
        return self.get(job_id)

    def wait_for_step(self, job_id: str) -> None:
        wait_until(lambda: bool(self.get(job_id)["progress"]), 280, f"the first step of {job_id}")

    def restart_redis(self) -> None:
        """Kill it, and restart it on its append-only file."""
        self.redis_process.kill()
        self.redis_process.wait()
        self.redis_process = start_redis(self.redis_port, self.redis_folder)

    def logged(self, event: str) -> int:
        """How often the worker has logged an event."""
        return len(re.findall(event, self.worker_log.read_text(errors="replace")))


def start_redis(port: int, folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(redis_command(port, folder), stdout=log, stderr=subprocess.STDOUT)
    wait_until(lambda: answers_ping(port), 60, "Redis")
    return process


@pytest.fixture(scope="module")
def outages(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outages]:
    folder = tmp_path_factory.mktemp("outages")
    redis_port, redis_folder = free_port(), folder / "redis"
    redis_folder.mkdir()
    redis_process = start_redis(redis_port, redis_folder)
    with tcp_proxy(redis_port) as link, http_proxy(s3_endpoint) as s3:
        settings = {
            "CINEMO_STORAGE_URL": f"s3://{BUCKET}",
            "CINEMO_S3_ENDPOINT_URL": s3.url,
            "CINEMO_S3_ACCESS_KEY_ID": CREDENTIALS["access_key_id"],
            "CINEMO_S3_SECRET_ACCESS_KEY": CREDENTIALS["secret_access_key"],
            "CINEMO_STORAGE_RETRY_SECONDS": "10",
            "CINEMO_LEASE_SECONDS": "3",
            "CINEMO_WORK_FOLDER": str(folder / "work"),
        }
        log, url = folder / "worker.log", f"redis://127.0.0.1:{link.port}/0"
        environment = {**os.environ, **settings, "CINEMO_REDIS_URL": url}
        with (
            api_running(folder, link.port, settings) as api,
            running([PYTHON, "-m", "worker"], log, lambda: True, environment),
        ):
            outages = Outages(api, redis_folder, redis_port, link, s3, log, redis_process)
            wait_until(lambda: outages.logged(r"ready\.") == 1, 200, "the worker")
            yield outages
    outages.redis_process.kill()
    outages.redis_process.wait()


def test_a_job_survives_two_restarts_of_a_killed_redis(outages: Outages, photo: bytes) -> None:
    job_id = outages.animate(photo, STEPS)
    for _ in range(2):
        outages.wait_for_step(job_id)
        outages.restart_redis()
    job = outages.wait_for(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]
    assert outages.wait_for(outages.animate(photo))["status"] == "succeeded", "the worker still hears of jobs"


def test_api_and_worker_reconnect_to_a_redis_that_was_unreachable(outages: Outages, photo: bytes) -> None:
    outages.link.cut()
    refused = outages.post(photo)
    assert (refused.status_code, refused.json()["code"]) == (503, "QUEUE.UNAVAILABLE")
    assert httpx.get(f"{outages.api.url}/readyz", timeout=30).status_code == 503
    outages.link.mend()
    assert outages.wait_for(outages.animate(photo))["status"] == "succeeded"


def test_a_job_survives_a_connection_that_becomes_unresponsive(outages: Outages, photo: bytes) -> None:
    job_id = outages.animate(photo, MANY_STEPS)
    outages.wait_for_step(job_id)
    before = outages.logged("not re(newed|ported)")
    outages.link.freeze()
    wait_until(lambda: outages.logged("not re(newed|ported)") > before, 60, "the worker's noticing")
    outages.link.thaw()
    step = outages.get(job_id)["progress"]["step"]
    wait_until(lambda: outages.get(job_id)["progress"]["step"] > step, 60, "another step")
    assert outages.get(job_id)["attempt"] == 1
    outages.http.post(f"/jobs/{job_id}/cancel").raise_for_status()
    assert outages.wait_for(job_id)["status"] == "canceled"
    assert outages.wait_for(outages.animate(photo))["status"] == "succeeded"


def test_a_redis_without_memory_leaves_no_partial_job(outages: Outages, photo: bytes) -> None:
    client = redis.Redis(port=outages.redis_port)
    known = client.keys("{cinemo}:job:*")
    client.config_set("maxmemory", "1mb")
    try:
        refused = outages.post(photo)
        assert (refused.status_code, refused.json()["code"]) == (503, "QUEUE.UNAVAILABLE")
        assert int(refused.headers["retry-after"]) > 0
        assert client.keys("{cinemo}:job:*") == known
    finally:
        client.config_set("maxmemory", "0")
    assert outages.wait_for(outages.animate(photo))["status"] == "succeeded"


def fail_upload(outages: Outages, photo: bytes) -> str:
    """A job whose model has run, and whose upload is being retried."""
    before = outages.logged("retrying storage")
    outages.s3.only, outages.s3.rates = "/jobs/", {"error": 1}
    job_id = outages.animate(photo, STEPS)
    wait_until(lambda: outages.logged("retrying storage") > before, 120, "a second try")
    return job_id


def test_an_upload_is_retried_without_running_the_model_again(outages: Outages, photo: bytes) -> None:
    job_id = fail_upload(outages, photo)
    lease = outages.api.redis.zscore(LEASES, job_id)
    wait_until(lambda: outages.api.redis.zscore(LEASES, job_id) != lease, 10, "a renewal in the meantime")
    outages.s3.heal()
    job = outages.wait_for(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]
    events = outages.http.get(f"/jobs/{job_id}/events").json()["events"]
    steps = [event["data"]["step"] for event in events if event["type"] == "progress"]
    assert steps == list(range(1, STEPS + 1)), "each step was taken once"


def test_a_job_can_be_canceled_while_its_storage_is_unavailable(outages: Outages, photo: bytes) -> None:
    job_id = fail_upload(outages, photo)
    outages.http.post(f"/jobs/{job_id}/cancel").raise_for_status()
    assert outages.wait_for(job_id)["status"] == "canceled"
    outages.s3.heal()


def test_a_long_storage_outage_fails_the_job_which_can_be_rerun(outages: Outages, photo: bytes) -> None:
    job_id = fail_upload(outages, photo)
    job = outages.wait_for(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "STORAGE.UNAVAILABLE")
    assert job["error"]["retryable"] is True
    outages.s3.heal()
    again = outages.http.post(f"/jobs/{job_id}/rerun", json={"num_inference_steps": 1})
    assert again.status_code == 202, again.text
    assert outages.wait_for(again.json()["id"])["status"] == "succeeded"
