"""A process that the nursery forks equals one started with `python -m`, except for its startup time."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cinemo_core import write_video
from cinemo_core.sandbox.decoder import decoder_of, environment
from tests.conftest import api_running
from tests.forked import Forked, Process, can_fork
from tests.processes import PYTHON
from tests.systems import need_linux

need_linux("has all that a nursery forks by")


def test_a_forked_process_has_its_own_command_line_environment_folder_and_session(
    redis_port: int, tmp_path: Path
) -> None:
    with api_running(tmp_path, redis_port) as api:
        assert isinstance(api.process, Forked)
        process = psutil.Process(api.process.pid)
        assert [word for word in process.cmdline() if word] == api.process.args
        assert process.environ()["CINEMO_PUBLIC_BASE_URL"] == api.url
        assert process.cwd() == str(Path.cwd())
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
        assert {each.path for each in process.open_files()} <= {str(api.log)}
        assert process.status() != psutil.STATUS_ZOMBIE


def test_a_forked_process_has_the_output_and_exit_code_of_a_started_one(tmp_path: Path) -> None:
    command = [PYTHON, "-m", "service", "--port", "none"]
    started = subprocess.run(command, capture_output=True, text=True)
    with (tmp_path / "log").open("wb") as log:
        forked = Process(command, stdout=log, stderr=subprocess.STDOUT)
    assert forked.wait(60) == started.returncode == 2
    assert (tmp_path / "log").read_text() == started.stdout + started.stderr


def test_a_forked_decoder_has_its_own_command_line_environment_folder_and_files(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", np.zeros((4, 32, 48, 3), np.uint8))
    with decoder_of(tmp_path / "a.mp4") as decoder:
        frames = decoder.first(4)
        assert next(frames).shape == (32, 48, 3)
        assert isinstance(decoder.process, Forked)
        process = psutil.Process(decoder.process.pid)
        assert [word for word in process.cmdline() if word] == decoder.process.args
        assert process.environ() == environment()
        assert process.cwd() == "/"
        opened = {each.name for each in Path(f"/proc/{process.pid}/fd").iterdir()}
        assert opened == {"0", "1", "2", str(decoder.source)}
    assert not psutil.pid_exists(process.pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_forked_process_receives_signals_and_its_end_is_reported(
    redis_port: int, tmp_path: Path, number: int
) -> None:
    with api_running(tmp_path, redis_port) as api:
        assert isinstance(api.process, Forked)
        assert api.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            api.process.wait(0.01)
        api.process.send_signal(number)
        assert api.process.wait(30) == -number
        assert not psutil.pid_exists(api.process.pid)


@pytest.mark.parametrize(
    ("command", "variables", "options"),
    [
        (["moto.server"], {}, {}),
        (["service"], {"PYTHONPATH": "elsewhere"}, {}),
        (["service"], {"OMP_NUM_THREADS": "2"}, {}),
        (["service"], {}, {"stdout": subprocess.PIPE}),
        (["service"], {}, {"cwd": "/"}),
    ],
)
def test_commands_that_cannot_be_forked_alike_are_started_normally(
    command: list[str], variables: dict[str, str], options: dict[str, Any]
) -> None:
    assert can_fork([PYTHON, "-m", "service"], os.environ, {})
    assert can_fork([PYTHON, "-u", "-m", "service"], os.environ, {})
    assert not can_fork([PYTHON, "-m", *command], {**os.environ, **variables}, options)
