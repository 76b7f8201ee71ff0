"""A full disk behind a folder storage makes the API not ready, with the reason."""

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.conftest import api_running
from tests.processes import PYTHON

ROOM = 2 * 1024 * 1024
CHECK = """
import os, sys
from pathlib import Path
from service.contract.problems import StorageUnavailable
from service.storage import LocalStore
folder = Path(sys.argv[1])
store = LocalStore(folder, "http://cinemo.test", "for tests alone")
store.check()
exec(sys.argv[2])
try:
    store.check()
except StorageUnavailable as problem:
    print(problem.detail)
"""
TOUCH = "[(folder / str(n)).touch() for n in range(20)]"
FILL = "[print('x' * 4096, file=f, flush=True) for f in [(folder / 'big').open('w')] for _ in range(10_000)]"


def may_mount() -> bool:
    """Whether this machine lets a user mount in its own namespace."""
    return (
        shutil.which("unshare") is not None
        and subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    )


@pytest.mark.skipif("not may_mount()", reason="this machine lets nobody mount in a namespace")
@pytest.mark.parametrize(
    ("options", "what_happens", "reason"),
    [
        (f"size={ROOM}", f"try:\n {FILL}\nexcept OSError: pass", "No space left"),
        (
            "nr_inodes=20",
            f"try:\n {TOUCH}\nexcept OSError: pass",
            "No space left",
        ),
        (f"size={ROOM}", "os.system(f'mount -o remount,ro {folder}')", "Read-only"),
    ],
)
def test_a_full_disk_is_reported_with_the_reason(tmp_path: Path, options: str, what_happens: str, reason: str) -> None:
    script = f'mount -t tmpfs -o {options} tmpfs "{tmp_path}" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", PYTHON, "-c", CHECK, str(tmp_path), what_happens]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cannot write to the storage folder"), done.stderr
    assert reason in done.stdout


def test_an_api_with_less_disk_space_than_required_is_not_ready(redis_port: int, tmp_path: Path) -> None:
    with api_running(tmp_path, redis_port, {"CINEMO_STORAGE_MIN_FREE_BYTES": str(2**60)}) as api:
        answer = httpx.get(f"{api.url}/readyz", timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (503, "STORAGE.UNAVAILABLE")
    assert "are needed" in answer.json()["detail"]
