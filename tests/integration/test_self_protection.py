"""What a job can do to its worker: take too long, get stuck, break the device, fill disk and memory."""

import errno
import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from structlog.testing import capture_logs

from cinemo_core import OutOfMemory, write_video
from deploy.local.redis import free_port
from service.contract.record import Job
from tests.forked import Process
from tests.jobs import JobStore, found, new_job
from tests.processes import PYTHON, wait_until
from tests.systems import need_linux
from worker import disk_space, health, workspace
from worker.memory import retry_with_less_memory
from worker.outcome import job_error
from worker.shutdown import Shutdown
from worker.watchdog import REPLACE_EXIT_CODE
from worker.workspace import open_workspace

WORK = (
    "stand_still",
    "keep_the_lock",
    "keep_the_lock_for_a_while",
    "take_too_long",
    "lose_the_device",
    "fill_the_disk",
)
BESIDE = "take_too_long_beside"
"""The job of the process whose first one has left the device."""
WAITING = "wait_for_the_other"
"""The same, of another process, whose time would be up while it waits for the first one's end."""
SETTINGS = {"CINEMO_LEASE_SECONDS": "3", "CINEMO_JOB_TIMEOUT_SECONDS": "6", "CINEMO_STUCK_SECONDS": "1"}


@dataclass(frozen=True)
class Outcome:
    """A job after its worker has ended, and the worker's exit code."""

    job: Job
    exit_code: int


@pytest.fixture(scope="module")
def outcomes(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The outcomes of jobs that do what the functions of `stuck_worker` do, concurrently."""
    need_linux("has a file on which there is never any space left")
    redis.Redis(port=redis_port).flushall()
    # Two jobs of one process have a Redis of their own, as nothing else says which process takes the second.
    alone = Run(WORK, redis_port, 0, tmp_path_factory.mktemp("alone"))
    beside = Run(("finish_for_ever", BESIDE), redis_port, 1, tmp_path_factory.mktemp("beside"), processes=1)
    waiting = Run(("finish_for_ever_soon", WAITING), redis_port, 2, tmp_path_factory.mktemp("waiting"), processes=1)
    return {**alone.outcomes(), **beside.outcomes(), **waiting.outcomes()}


class Run:
    """A run of `stuck_worker` with jobs of these names."""

    def __init__(
        self, names: tuple[str, ...], redis_port: int, database: int, folder: Path, processes: int | None = None
    ) -> None:
        self._names, self._output = names, folder / "output"
        self._store = JobStore(redis.Redis(port=redis_port, db=database))
        for name in names:
            job = new_job(name)
            request = job.request.model_copy(update={"prompt": name})
            self._store.submissions.create(job.model_copy(update={"request": request}))
        settings = {
            **SETTINGS,
            "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/{database}",
            "CINEMO_STORAGE_URL": f"file://{folder / 'storage'}",
            "CINEMO_URL_SIGNING_KEY": "for tests alone",
            "CINEMO_WORK_FOLDER": str(folder / "work"),
        }
        command = [PYTHON, "-m", "tests.integration.stuck_worker", str(processes or len(names))]
        with self._output.open("wb") as file:
            self._process = Process(command, env={**os.environ, **settings}, stdout=file)

    def outcomes(self) -> dict[str, Outcome]:
        """Each job, with the exit code of the process that took it first, once all have ended."""
        assert self._process.wait(200) == 0
        said: list[tuple[str, Any]] = []
        for line in self._output.read_bytes().splitlines():
            with suppress(ValueError):
                said += [each for each in json.loads(line).items() if each[0].isdigit()]
        names = [(process, name) for process, name in said if isinstance(name, str)]
        codes = {process: code for process, code in said if isinstance(code, int)}
        return {name: Outcome(found(self._store, name), codes[process]) for process, name in names}


def test_a_job_that_is_stuck_fails_and_its_worker_is_replaced(outcomes: dict[str, Outcome]) -> None:
    job, exit_code = outcomes["stand_still"].job, outcomes["stand_still"].exit_code
    assert (job.status, job.attempt, job.losses) == ("failed", 1, 0)
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("WORKER.TIMEOUT", False)
    assert exit_code == REPLACE_EXIT_CODE


@pytest.mark.parametrize(("first", "second"), [("finish_for_ever", BESIDE), ("finish_for_ever_soon", WAITING)])
def test_a_stuck_job_fails_without_the_one_running_in_parallel(
    outcomes: dict[str, Outcome], first: str, second: str
) -> None:
    stuck, other = outcomes[first], outcomes[second].job
    assert stuck.job.error is not None
    assert (stuck.job.status, stuck.job.error.code, stuck.exit_code) == ("failed", "WORKER.TIMEOUT", REPLACE_EXIT_CODE)
    assert (other.status, other.attempt, other.losses) == ("queued", 1, 0)


def test_a_job_that_blocks_all_threads_ends_its_worker_and_counts_as_lost(
    outcomes: dict[str, Outcome], redis_port: int
) -> None:
    assert outcomes["keep_the_lock"].exit_code not in (0, REPLACE_EXIT_CODE)
    store = JobStore(redis.Redis(port=redis_port))
    wait_until(lambda: "keep_the_lock" in store.recovery.lapsed(), 30)
    store.recovery.reap("keep_the_lock")
    job = found(store, "keep_the_lock")
    assert (job.status, job.losses) == ("queued", 1), "three such losses end it"


def test_a_job_that_takes_too_long_fails_and_its_worker_continues(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["take_too_long"]
    assert outcome.job.error is not None
    assert (outcome.job.error.code, outcome.exit_code) == ("WORKER.TIMEOUT", 0)


def test_holding_the_interpreter_lock_for_less_than_the_lease_does_not_lose_the_job(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["keep_the_lock_for_a_while"]
    assert (outcome.exit_code, outcome.job.status, outcome.job.losses) == (0, "queued", 0), "its holder handed it back"


@pytest.mark.parametrize("name", ["lose_the_device", "fill_the_disk"])
def test_a_worker_with_a_failed_device_or_full_disk_is_replaced_and_its_job_requeued(
    outcomes: dict[str, Outcome], name: str
) -> None:
    outcome = outcomes[name]
    assert (outcome.job.status, outcome.job.losses) == ("queued", 1), "three such losses end it"
    assert outcome.exit_code == REPLACE_EXIT_CODE


def test_out_of_memory_is_retried_once_with_less() -> None:
    tried: list[int] = []
    let_go: list[bool] = []

    def run(frames_at_once: int) -> str:
        tried.append(frames_at_once)
        if frames_at_once > 1:
            raise OutOfMemory("too much")
        return "done"

    assert retry_with_less_memory(run, lambda: let_go.append(True)) == "done"
    assert (tried, let_go) == ([16, 1], [True])


def test_a_second_out_of_memory_fails_the_job() -> None:
    def run(frames_at_once: int) -> Any:
        raise OutOfMemory("too much")

    with pytest.raises(OutOfMemory) as caught:
        retry_with_less_memory(run, lambda: None)
    assert job_error(caught.value).code == "MODEL.OUT_OF_MEMORY"


def test_a_full_disk_has_its_own_error(tmp_path: Path) -> None:
    need_linux("has a file on which there is never any space left")
    (tmp_path / "video.mp4").symlink_to("/dev/full")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the encoder makes of it
        write_video(tmp_path / "video.mp4", np.zeros((2, 16, 16, 3), np.uint8), 8)
    assert (job_error(caught.value).code, job_error(caught.value).retryable) == ("WORKER.DISK_FULL", True)
    assert job_error(OSError(errno.EACCES, "no")).code == "INTERNAL.ERROR"


@pytest.mark.parametrize("end", ["space", "shutdown"])
def test_a_worker_without_disk_space_logs_it_and_waits_until_it_is_stopped(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(disk_space, "shutdown", shutdown := Shutdown())
    monkeypatch.setattr(disk_space, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(disk_space, "MIN_FREE_BYTES", float("inf"))
    with capture_logs() as logs, ThreadPoolExecutor() as pool:
        waiting = pool.submit(disk_space.wait_for_disk_space)
        wait_until(lambda: bool(logs), 10)
        assert not waiting.done()
        if end == "space":
            monkeypatch.setattr(disk_space, "MIN_FREE_BYTES", 0)
        else:
            shutdown.request()
        waiting.result(10)
    assert {line["folder"] for line in logs} == {str(own_folder)}
    assert [line["event"] for line in logs] == ["disk full, taking no jobs", "no longer waiting for disk space"]


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(workspace, "_own", None)
    monkeypatch.setattr(health, "_file", None)
    return open_workspace(tmp_path)


def test_temporary_files_are_deleted_after_each_job_and_those_of_dead_workers_at_startup(own_folder: Path) -> None:
    root = own_folder.parent
    (Path(tempfile.mkdtemp()) / "frame").touch()
    with tempfile.NamedTemporaryFile(delete=False) as file:
        assert Path(file.name).parent == own_folder
    (own_folder / health.ALIVE).touch()
    workspace.clean(health.ALIVE)
    assert [path.name for path in own_folder.iterdir()] == [health.ALIVE]

    (root / "worker-dead" / "folder").mkdir(parents=True)
    assert open_workspace(root) != own_folder
    assert not (root / "worker-dead").exists()
    assert own_folder.exists(), "its process lives"


def test_a_worker_that_makes_no_progress_is_unhealthy(own_folder: Path) -> None:
    root = own_folder.parent
    assert health.unhealthy_reason(root / "elsewhere", 60) == health.NOT_RUNNING
    health.set_alive_folder(own_folder)
    assert "still starting" in (health.unhealthy_reason(root, 60) or "")
    health.touch()
    assert health.unhealthy_reason(root, 60) is None
    os.utime(own_folder / health.ALIVE, (0, 0))
    assert "has been silent" in (health.unhealthy_reason(root, 60) or "")
    health.touch()
    assert health.unhealthy_reason(root, 60) is None


def test_an_outage_of_redis_excuses_a_hanging_worker_but_not_a_missing_one(own_folder: Path) -> None:
    root = own_folder.parent
    nowhere = {"CINEMO_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "CINEMO_URL_SIGNING_KEY": "x" * 32}

    def health_of(folder: Path) -> tuple[int, str]:
        settings = {**os.environ, **nowhere, "CINEMO_WORK_FOLDER": str(folder)}
        done = subprocess.run([PYTHON, "-m", "worker.health"], env=settings, capture_output=True, text=True)
        return done.returncode, done.stderr.strip()

    health.set_alive_folder(own_folder)
    health.touch()
    os.utime(own_folder / health.ALIVE, (0, 0))
    assert health_of(root) == (0, "")
    assert health_of(root / "elsewhere") == (1, health.NOT_RUNNING)
