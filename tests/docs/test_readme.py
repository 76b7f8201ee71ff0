"""`make readme-test`: every command of the README works, beside a `make up` that Ctrl-C stops."""

import os
import signal
from pathlib import Path

import psutil

from tests.docs.claims import README, to_follow
from tests.docs.outcome import expect
from tests.docs.reader import MadeUp, clone_into, follow, made_up
from tests.processes import wait_until

PARTS = 6
"""Redis, API, two workers, the sender of webhooks, and what starts them."""


def test_the_commands_of_the_readme_work_and_ctrl_c_stops_the_whole_stack(tmp_path: Path) -> None:
    (folder := tmp_path / "clone").mkdir()
    with made_up(tmp_path / "stack") as stack:
        clone_into(folder, stack)
        expect(README, folder, follow(to_follow("README.md"), folder, {"8000": str(stack.port)}))
        stop_by_ctrl_c(stack)


def stop_by_ctrl_c(stack: MadeUp) -> None:
    parts = psutil.Process(stack.process.pid).children(recursive=True)
    assert len(parts) >= PARTS
    os.killpg(stack.process.pid, signal.SIGINT)
    wait_until(lambda: not all(part.is_running() for part in parts), 30, "the end of the first part")
    os.killpg(stack.process.pid, signal.SIGINT)
    wait_until(lambda: stack.process.poll() is not None, 60, "the end of make up")
    assert "stopped" in stack.output.read_text()
    assert not any(part.is_running() for part in parts), "no part of the stack outlives it"
