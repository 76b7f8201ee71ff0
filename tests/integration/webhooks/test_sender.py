"""The webhook sender's process: killed, stopped, and occupied by hanging receivers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis

from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.contract.deliveries import DeliveryStatus
from service.contract.record import Job, new_job_id
from service.contract.requests import JobOptions
from service.store.connections import connect
from service.webhooks.outbox import CLAIM_SECONDS, Outbox
from tests.integration.webhooks.post import deliver_due
from tests.jobs import JobStore, new_job
from tests.processes import PYTHON, running, wait_until
from tests.receiver import Received, Receiver, receiving
from tests.settings import settings_for
from worker.deliver import PAUSE_SECONDS, make_deliverer


@dataclass(frozen=True)
class Senders:
    """Starts senders over one Redis, which is empty at first."""

    port: int
    folder: Path
    jobs: JobStore
    outbox: Outbox

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        log = self.folder / "log"
        environment = {
            **os.environ,
            "CINEMO_REDIS_URL": f"redis://127.0.0.1:{self.port}/0",
            "CINEMO_STORAGE_URL": f"file://{self.folder}",
            "CINEMO_URL_SIGNING_KEY": "for tests alone",
            "CINEMO_OUTBOUND_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
            "CINEMO_WEBHOOK_CONCURRENCY": "32",
        }
        command = [PYTHON, "-m", "worker", "--queue", "webhooks"]
        with running(command, log, lambda: b"sending webhooks" in log.read_bytes(), environment) as process:
            yield process

    def canceled(self, url: str) -> Job:
        """An ended job that notifies a URL."""
        options = JobOptions(webhook_url=url)
        job = new_job(new_job_id()).model_copy(update={"options": options})
        self.jobs.submissions.create(job)
        self.jobs.cancel(job)
        return job

    def status(self, job: Job) -> DeliveryStatus:
        return self.outbox.of_job(job.id)[0].status


@pytest.fixture
def senders(redis_port: int, redis_client: redis.Redis, tmp_path: Path) -> Senders:
    return Senders(redis_port, tmp_path, JobStore(redis_client), Outbox(redis_client))


def test_the_sender_loads_no_heavy_libraries() -> None:
    code = "import sys, worker.__main__, worker.deliver; print(sorted({'torch', 'diffusers'} & set(sys.modules)))"
    environment = {**os.environ, "CINEMO_URL_SIGNING_KEY": "x"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_a_delivery_that_a_killed_sender_did_not_record_is_repeated_with_the_same_id(
    senders: Senders, receiver: Receiver, redis_port: int, redis_client: redis.Redis
) -> None:
    with senders.running() as process:

        def kill(received: Received) -> tuple[int, dict[str, str]]:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return 200, {}

        receiver.answer = kill
        job = senders.canceled(receiver.url)
        wait_until(lambda: process.poll() is not None, 30, "the sender being killed")
    assert senders.outbox.of_job(job.id)[0].attempts == ()
    receiver.answers(200)
    late = Outbox(redis_client, lambda: time.time() + CLAIM_SECONDS + 1)
    deliver_due(replace(make_deliverer(settings_for(redis_port, senders.folder)), outbox=late))
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    assert senders.status(job) is DeliveryStatus.DELIVERED


def test_a_hanging_receiver_delays_no_other(senders: Senders, receiver: Receiver) -> None:
    released = threading.Event()

    def hang(received: Received) -> tuple[int, dict[str, str]]:
        released.wait(30)
        return 200, {}

    with receiving() as hanging, senders.running():
        hanging.answer = hang
        stuck = [senders.canceled(hanging.url) for _ in range(30)]
        wait_until(lambda: len(hanging.received) > 0, 30, "a request to the receiver that hangs")
        jobs = [senders.canceled(receiver.url) for _ in range(10)]
        wait_until(lambda: len(receiver.received) == 10, 10, "the deliveries to the other receiver")
        assert len(hanging.received) <= 4
        released.set()
        wait_until(lambda: all(senders.status(job) == "delivered" for job in (*jobs, *stuck)), 30, "the rest")
    assert len(hanging.ids) == len(set(hanging.ids)) == 30


def test_a_stopping_sender_records_deliveries_in_progress(senders: Senders, receiver: Receiver) -> None:
    with senders.running() as process:

        def stop(received: Received) -> tuple[int, dict[str, str]]:
            process.send_signal(signal.SIGTERM)
            # Only time shows that it waits for the answer: one that did not would look up from its pause, and be gone.
            time.sleep(2 * PAUSE_SECONDS)
            return 200, {}

        receiver.answer = stop
        job = senders.canceled(receiver.url)
        wait_until(lambda: process.poll() is not None, 30, "the sender having stopped")
        assert process.returncode == 0
    assert (senders.status(job), len(receiver.received)) == (DeliveryStatus.DELIVERED, 1)


def test_two_senders_send_each_webhook_once(senders: Senders, receiver: Receiver) -> None:
    jobs = [senders.canceled(f"{receiver.url}/{number % 5}") for number in range(60)]
    with senders.running(), senders.running():
        wait_until(lambda: all(senders.status(job) == "delivered" for job in jobs), 30, "all being delivered")
    assert len(receiver.ids) == len(set(receiver.ids)) == 60


def test_a_sender_survives_an_outage_of_redis(tmp_path: Path, receiver: Receiver) -> None:
    port = free_port()

    def redis_running() -> AbstractContextManager["subprocess.Popen[bytes]"]:
        return running(redis_command(port, tmp_path), tmp_path / "redis.log", lambda: answers_ping(port))

    client = connect(f"redis://127.0.0.1:{port}/0")
    senders = Senders(port, tmp_path, JobStore(client), Outbox(client))
    with redis_running() as first, senders.running() as process:
        jobs = [senders.canceled(receiver.url)]
        wait_until(lambda: senders.status(jobs[0]) == "delivered", 30, "the first delivery")
        first.kill()
        wait_until(
            lambda: b"claiming webhooks failed" in (tmp_path / "log").read_bytes(), 30, "the sender missing its Redis"
        )
        with redis_running():
            jobs.append(senders.canceled(receiver.url))
            wait_until(lambda: senders.status(jobs[1]) == "delivered", 30, "the second delivery")
            assert process.poll() is None
    assert [each.message["data"]["id"] for each in receiver.received] == [job.id for job in jobs]
