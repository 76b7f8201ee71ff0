"""The process ends at the earliest deadline of the jobs in progress, even while no Python code can run."""

import subprocess
from math import inf

import pytest

from tests.processes import PYTHON

SCRIPT = """
import ctypes
import time
from worker.exit_timer import exit_timer

with exit_timer(time.monotonic() + {first}) as deadline:
    with exit_timer(time.monotonic() + {second}):
        {inside}
    {after}
"""
KEEP_THE_LOCK = "ctypes.PyDLL(None).sleep(60)"


def run(first: float, second: float, inside: str = "pass", after: str = "pass") -> "subprocess.CompletedProcess[str]":
    script = SCRIPT.format(first=f"float('{first}')", second=f"float('{second}')", inside=inside, after=after)
    return subprocess.run([PYTHON, "-c", script], capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize("seconds", [(1, 600), (600, 1), (inf, 1)])
def test_the_earlier_of_two_deadlines_counts(seconds: tuple[float, float]) -> None:
    ended = run(*seconds, inside=KEEP_THE_LOCK)
    assert ended.returncode == 1
    assert "Timeout (0:00:0" in ended.stderr


def test_a_job_that_ends_leaves_the_other_its_deadline() -> None:
    ended = run(1, 600, after=KEEP_THE_LOCK)
    assert (ended.returncode, "Timeout (0:00:0" in ended.stderr) == (1, True)


def test_a_deadline_can_be_moved() -> None:
    later = "deadline.move(deadline.at + 600); ctypes.PyDLL(None).usleep(1_500_000); deadline.move(time.monotonic())"
    ended = run(1, 600, inside=f"{later}; print('lived on', flush=True); {KEEP_THE_LOCK}")
    assert (ended.returncode, ended.stdout) == (1, "lived on\n")


def test_after_the_last_job_there_is_no_deadline() -> None:
    script = SCRIPT.format(first="1", second="1", inside="pass", after="pass") + "ctypes.PyDLL(None).usleep(1_500_000)"
    assert subprocess.run([PYTHON, "-c", script], timeout=50).returncode == 0
