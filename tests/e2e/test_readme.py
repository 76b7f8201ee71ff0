"""Every command of the README works as it stands there, in its order, beside a `make up` that Ctrl-C stops."""

import os
import re
import signal
import subprocess
from pathlib import Path

import httpx

from tests.docs.claims import README, to_follow
from tests.docs.outcome import expect
from tests.docs.pages import ROOT
from tests.docs.reader import MadeUp, clone_into, follow, made_up
from tests.processes import wait_until


def test_every_target_is_explained_by_make_help() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pages = (ROOT / name for name in ("README.md", "CONTRIBUTING.md"))
    named = {target for page in pages for target in re.findall(r"make ([a-z-]+)", page.read_text())}
    assert {"demo", "test", "up"} <= named
    assert named <= {line.split()[0] for line in listed.splitlines()}


def test_the_stack_serves_whoever_follows_the_readme_and_ctrl_c_stops_all_of_it(tmp_path: Path) -> None:
    (folder := tmp_path / "clone").mkdir()
    with made_up(tmp_path / "stack") as stack:
        clone_into(folder, stack)
        expect(README, folder, follow(to_follow("README.md"), folder, {"8000": str(stack.port)}))
        stop_by_ctrl_c(stack)


def stop_by_ctrl_c(stack: MadeUp) -> None:
    os.killpg(stack.process.pid, signal.SIGINT)
    wait_until(lambda: stack.process.poll() is not None, 30, "the end of make up")
    assert "stopped" in stack.output.read_text()
    wait_until(lambda: not anybody_answers(stack.port), 10, "the API's end")
    left = subprocess.run(["pgrep", "-f", str(stack.folder)], capture_output=True, text=True).stdout
    assert not left, "no part of the stack outlives it"


def anybody_answers(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/healthz")
    except httpx.TransportError:
        return False
    return True
