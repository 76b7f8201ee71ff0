"""A job's video is stored beside the next job's steps: two jobs in one process, each with its lease and its end."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.contract.record import Job, new_job_id
from service.contract.states import JobStatus
from service.storage import S3Store
from service.store.eta import kind_key
from service.store.keys import LEASES
from service.store.queue import JobQueue
from service.store.workers import WorkerRegistry
from tests.conftest import Api, api_running, s3_variables
from tests.integration.conftest import SMALL
from tests.jobs import JobStore, found, new_job
from tests.processes import wait_until
from tests.proxy import HttpProxy, http_proxy
from tests.workers import worker
from worker.watchdog import REPLACE_EXIT_CODE

FEW, MANY = 2, 200
"""Steps of a job that is to finish, and of one that is to be still at its steps."""


@dataclass
class Setup:
    """API and storage, whose uploads of one attempt's video fail, and are retried, until `heal`."""

    api: Api
    proxy: HttpProxy
    store: JobStore
    folder: Path
    redis_port: int
    photo: bytes
    variables: dict[str, str]

    def worker(self, **settings: str) -> Any:
        return worker(self.folder, self.redis_port, self.variables, **{"lease_seconds": "3", **settings})

    def post(self, steps: int = FEW, **fields: str) -> str:
        data = {"prompt": "waves", "num_inference_steps": steps, **SMALL, **fields}
        answer = httpx.post(f"{self.api.url}/animate", data=data, files={"image": self.photo}, timeout=60)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def hold_video_of(self, job_id: str, attempt: int = 1) -> None:
        self.proxy.rates, self.proxy.only = {"error": 1.0}, f"jobs/{job_id}/{attempt}/video"

    def tries(self, job_id: str, attempt: int = 1) -> int:
        """How often storing the video has failed."""
        path = f"jobs/{job_id}/{attempt}/video"
        return sum(each.fault is not None and path in each.path for each in self.proxy.seen)

    def job(self, job_id: str) -> Job:
        return found(self.store, job_id)

    def has_done(self, job_id: str, steps: int, attempt: int = 1) -> bool:
        job = self.job(job_id)
        return job.attempt == attempt and job.progress is not None and job.progress.step >= steps

    def has_ended(self, *job_ids: str) -> bool:
        return all(self.job(each).ended for each in job_ids)

    def pass_three_seconds(self) -> int:
        """Wait until all leases have been renewed for so long; returns their number."""
        leases = dict(self.api.redis.zscan_iter(LEASES))
        wait_until(lambda: all(self.api.redis.zscore(LEASES, job) > at + 3000 for job, at in leases.items()), 20)
        return len(leases)

    def hold_one_beside_another(self, process: Any, steps_of_other: int) -> tuple[str, str]:
        """A job whose video cannot be stored, and another that has begun its steps beside it."""
        first = self.post()
        self.hold_video_of(first)
        second = self.post(steps_of_other)
        wait_until(lambda: self.tries(first) > 0 and self.has_done(second, 1), 120, "a job beside another")
        assert process.poll() is None
        return first, second


@pytest.fixture(scope="module")
def behind_proxy(
    s3_endpoint: str, redis_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Api, HttpProxy, dict[str, str]]]:
    with http_proxy(s3_endpoint) as proxy:
        variables = {**s3_variables(proxy.url), "CINEMO_STORAGE_RETRY_SECONDS": "600"}
        with api_running(tmp_path_factory.mktemp("api"), redis_port, variables) as api:
            yield api, proxy, variables


@pytest.fixture
def setup(behind_proxy: tuple[Api, HttpProxy, dict[str, str]], redis_port: int, tmp_path: Path, photo: bytes) -> Setup:
    api, proxy, variables = behind_proxy
    proxy.heal()
    api.redis.flushall()
    return Setup(api, proxy, JobStore(api.redis), tmp_path, redis_port, photo, variables)


def test_the_next_job_computes_while_a_video_is_stored_and_a_third_waits(setup: Setup, s3: S3Store) -> None:
    with setup.worker() as process:
        first, second = setup.hold_one_beside_another(process, FEW)
        third = setup.post()
        wait_until(lambda: setup.has_done(second, FEW), 60, "the second job's steps")
        registry = WorkerRegistry(setup.api.redis)
        wait_until(lambda: [each.jobs for each in registry.live()] == [(first, second)], 20)
        # Renewals of both leases keep coming, and nothing else happens.
        assert setup.pass_three_seconds() == 2
        assert setup.job(third).status is JobStatus.QUEUED
        stored = {key.rpartition("/")[2] for key in s3.list(f"jobs/{first}/")}
        assert stored == {"poster.jpg", "spritesheet.jpg"}, "beside the video"
        setup.proxy.heal()
        wait_until(lambda: setup.has_ended(first, second, third), 60, "all three jobs' end")
    jobs = [setup.job(each) for each in (first, second, third)]
    assert [(job.status, job.attempt) for job in jobs] == [(JobStatus.SUCCEEDED, 1)] * 3
    ended, started, own_end = jobs[0].finished_at, jobs[1].started_at, jobs[1].finished_at
    assert ended is not None
    assert started is not None
    assert own_end is not None
    assert started < ended < jobs[2].started_at  # type: ignore[operator]
    had = jobs[1].device_ms / 1000
    assert had < (ended - started).total_seconds() - 2, "waiting for the first job's end doesn't count as device time"
    assert jobs[1].metrics.execution_ms is not None
    own = jobs[1].metrics.execution_ms / 1000
    assert own < (own_end - started).total_seconds() - 2, "nor as its own"


def test_storing_a_video_keeps_no_job_from_starting(setup: Setup) -> None:
    with setup.worker() as process:
        first, second = setup.hold_one_beside_another(process, MANY)
        httpx.post(f"{setup.api.url}/jobs/{second}/cancel").raise_for_status()
        wait_until(lambda: setup.has_ended(second), 30, "the cancellation")
        setup.proxy.heal()
        wait_until(lambda: setup.has_ended(first), 60, "the first job's end")
    begun, next_begun = setup.job(first).started_at, setup.job(second).started_at
    assert begun is not None
    assert next_begun is not None
    occupied_ms = float(setup.api.redis.hget(kind_key("animate"), "occupied") or 0)
    assert 0 < occupied_ms <= (next_begun - begun).total_seconds() * 1000
    assert occupied_ms < (setup.job(first).metrics.execution_ms or 0)


def test_a_job_identical_to_the_one_that_is_finishing_waits_for_its_output(setup: Setup) -> None:
    with setup.worker():
        first = setup.post(seed="1")
        setup.hold_video_of(first)
        second = setup.post(seed="1")
        wait_until(lambda: setup.tries(first) > 0, 120, "the first job's upload")
        wait_until(lambda: setup.job(second).status is JobStatus.RUNNING, 60, "the second job's start")
        setup.pass_three_seconds()
        setup.proxy.heal()
        wait_until(lambda: setup.has_ended(first, second), 60, "both jobs' end")
    jobs = [setup.job(each) for each in (first, second)]
    assert [job.reused_from for job in jobs] == [None, first]
    ended, started = jobs[0].finished_at, jobs[1].started_at
    assert ended is not None
    assert started is not None
    assert jobs[1].device_ms / 1000 < (ended - started).total_seconds(), "waiting is not charged"


def test_another_tenants_identical_job_is_not_waited_for(setup: Setup) -> None:
    with setup.worker():
        first = setup.post(seed="1")
        setup.hold_video_of(first)
        wait_until(lambda: setup.tries(first) > 0, 120, "the first job's upload")
        own = setup.job(first)
        facts = {"request": own.request, "model": own.model, "input_key": own.input_key, "input_size": own.input_size}
        theirs = new_job(new_job_id()).model_copy(update={**facts, "tenant": "acme"})
        setup.store.submissions.create(theirs)
        JobQueue(f"redis://127.0.0.1:{setup.redis_port}/0").enqueue(theirs.id)
        wait_until(lambda: setup.has_done(theirs.id, FEW), 30, "the other tenant's steps")
        setup.proxy.heal()
        wait_until(lambda: setup.has_ended(first, theirs.id), 60, "both jobs' end")
    assert [setup.job(each).reused_from for each in (first, theirs.id)] == [None, None]


def test_a_worker_that_has_grown_too_large_starts_no_second_job(setup: Setup) -> None:
    with setup.worker(worker_max_rss_bytes="1") as process:
        first = setup.post()
        setup.hold_video_of(first)
        second = setup.post()
        wait_until(lambda: setup.tries(first) > 2, 120, "the first job's upload")
        wait_until(lambda: "exits to be replaced" in (setup.folder / "worker.log").read_text(errors="replace"), 30)
        setup.proxy.heal()
        assert process.wait(60) == REPLACE_EXIT_CODE
    assert setup.job(first).status is JobStatus.SUCCEEDED
    assert (setup.job(second).status, setup.job(second).attempt) == (JobStatus.QUEUED, 0)


def test_canceling_the_job_that_is_finishing_leaves_the_other_alone(setup: Setup) -> None:
    with setup.worker() as process:
        first, second = setup.hold_one_beside_another(process, MANY)
        httpx.post(f"{setup.api.url}/jobs/{first}/cancel").raise_for_status()
        wait_until(lambda: setup.job(first).status is JobStatus.CANCELED, 30, "the cancellation")
        at_cancellation = setup.job(second).progress
        assert at_cancellation is not None
        wait_until(lambda: setup.has_done(second, at_cancellation.step + 1), 30, "another step")
        httpx.post(f"{setup.api.url}/jobs/{second}/cancel").raise_for_status()
        wait_until(lambda: setup.job(second).status is JobStatus.CANCELED, 30, "the other cancellation")


def test_two_jobs_of_a_killed_worker_are_each_run_again_alone(setup: Setup) -> None:
    with setup.worker() as process:
        first, second = setup.hold_one_beside_another(process, FEW)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    setup.hold_video_of(first, attempt=2)
    with setup.worker():
        wait_until(lambda: setup.job(second).losses == 1, 30, "the second job's loss")
        wait_until(lambda: setup.tries(first, attempt=2) > 2, 120, "the first job's second attempt")
        assert setup.job(second).status is JobStatus.QUEUED, "not beside the other"
        setup.proxy.heal()
        wait_until(lambda: setup.has_ended(first, second), 120, "both jobs' end")
    jobs = [setup.job(each) for each in (first, second)]
    assert [(job.status, job.attempt) for job in jobs] == [(JobStatus.SUCCEEDED, 2)] * 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("signals", [1, 2])
def test_a_stopping_worker_requeues_both_jobs_after_the_grace_period_or_at_once(
    setup: Setup, signals: int, number: signal.Signals
) -> None:
    with setup.worker(shutdown_grace_seconds="0.1" if signals == 1 else "600") as process:
        first, second = setup.hold_one_beside_another(process, MANY)
        for _ in range(signals):
            process.send_signal(number)
            wait_until(lambda: "Warm shutdown" in (setup.folder / "worker.log").read_text(errors="replace"), 30)
        assert process.wait(60) == 0
    jobs = [setup.job(each) for each in (first, second)]
    assert [(job.status, job.losses) for job in jobs] == [(JobStatus.QUEUED, 0)] * 2


def test_a_stopping_worker_finishes_both_jobs_within_the_grace_period(setup: Setup) -> None:
    with setup.worker(shutdown_grace_seconds="600") as process:
        first, second = setup.hold_one_beside_another(process, FEW)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: setup.has_done(second, FEW), 60, "the second job's steps")
        assert process.poll() is None
        setup.proxy.heal()
        assert process.wait(60) == 0
    assert [setup.job(each).status for each in (first, second)] == [JobStatus.SUCCEEDED] * 2
    registry = WorkerRegistry(setup.api.redis)
    assert registry.live() == [], "it said goodbye after its last job"
