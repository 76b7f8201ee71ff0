"""What `make up` has started stops with it, however it ends."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from deploy.local.redis import free_port, redis_binary
from tests.processes import PYTHON, wait_until

pytestmark = pytest.mark.timeout(600)
SERVER = Path(redis_binary()).name


@contextmanager
def launched(folder: Path, *before: str, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A launcher in its own session; what it leaves behind is killed at the end."""
    command = [*before, PYTHON, "-m", "deploy.local.up", "--port", str(free_port()), "--folder", str(folder)]
    with (folder.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **variables},
            # Under nohup, as these tests themselves may run, the launcher would not mind a terminal that closes.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for left in parts(folder):
            os.kill(left, signal.SIGKILL)


def parts(folder: Path) -> dict[int, str]:
    """Processes of the stack in a folder, by environment or working directory, and their programs."""
    found = {}
    for each in psutil.process_iter():
        # It has ended meanwhile, or is somebody else's.
        with suppress(psutil.Error):
            named = each.environ().get("CINEMO_WORK_FOLDER") == f"{folder}/work"
            # Redis writes its title over its environment.
            if named or each.cwd() == str(folder / "redis"):
                found[each.pid] = " ".join(each.cmdline())
    return found


def runs(folder: Path, *names: str) -> Callable[[], bool]:
    return lambda: all(any(name in command for command in parts(folder).values()) for name in names)


@pytest.mark.parametrize("running", [(SERVER,), (SERVER, "-m service", "webhooks"), (SERVER, "--queue train")])
def test_all_processes_stop_when_their_launcher_is_killed(tmp_path: Path, running: tuple[str, ...]) -> None:
    folder = tmp_path / "up"
    with launched(folder) as launcher:
        wait_until(runs(folder, *running), 300, "the parts")
        os.killpg(launcher.pid, signal.SIGKILL)
        launcher.wait()
        wait_until(lambda: not parts(folder), 30, "the end of all parts")


def test_all_processes_stop_when_the_terminal_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "up"
    with launched(folder) as launcher:
        wait_until(runs(folder, "-m service"), 120, "the parts")
        launcher.send_signal(signal.SIGHUP)
        assert launcher.wait(150) == 0
        assert not parts(folder)


def test_all_processes_stop_when_make_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "up"
    with launched(folder, "/bin/sh", "-c", '"$@" & wait', "make", MAKELEVEL="1") as make:
        wait_until(runs(folder, "-m service"), 120, "the parts")
        make.kill()
        make.wait()
        wait_until(lambda: not parts(folder), 60, "the end of all parts")
