"""Every command of the README works as it stands there, in its order."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cinemo_core.training.render import RenderConfig, render_dataset
from deploy.local.redis import free_port
from tests.processes import wait_until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
(PYTHON_CLIENT,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
MARKS = ("make up", "curl", "cinemo keys", "cinemo_core animate")
STACK, CLIENT, KEYS, LIBRARY = (next(block for block in BLOCKS if mark in block) for mark in MARKS)
# `make demo` has a test of its own, and whoever reads this has run `make test`.
ELSEWHERE = ("make demo", "make test")


def test_every_command_is_run_by_a_test() -> None:
    covered = (STACK, CLIENT, KEYS, LIBRARY)
    others = [line for block in BLOCKS if block not in covered for line in block.splitlines() if line.strip()]
    assert [line.split("#")[0].strip() for line in others] == list(ELSEWHERE)


def test_every_target_is_explained_by_make_help() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"make ([a-z-]+)", README + (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"demo", "test", "up"} <= named
    assert named <= {line.split()[0] for line in listed.splitlines()}


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """A folder with the photo that the README's commands name."""
    from PIL import Image

    from cinemo_core.training.sources import photo_path

    Image.open(photo_path("coffee.png")).convert("RGB").save(tmp_path / "photo.jpg")
    Image.open(photo_path("astronaut.png")).convert("RGB").save(tmp_path / "other.jpg")
    return tmp_path


def test_the_library_animates_edits_converts_and_evaluates_without_any_service(photo_folder: Path) -> None:
    done = run(LIBRARY.replace(".venv/bin/", ""), photo_folder)
    assert done.returncode == 0, done.stderr
    assert (photo_folder / "out.mp4").stat().st_size > 1000
    assert (photo_folder / "moved.webm").stat().st_size > 1000
    assert (photo_folder / "converted" / "cinemo.json").exists()
    assert json.loads((photo_folder / "evaluation.json").read_text())["clips"] == 24


def test_the_training_pages_commands_make_models_that_animate(photo_folder: Path) -> None:
    page = (ROOT / "docs" / "training.md").read_text()
    render, train_one, train_two, _ = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    (configuration,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (photo_folder / "waves.yaml").write_text(configuration)
    for script in (render, train_one, train_two):
        done = run(script, photo_folder)
        assert done.returncode == 0, done.stderr
    assert (photo_folder / "buckets.png").stat().st_size > 1000
    assert (photo_folder / "out.mp4").stat().st_size > 1000
    assert (photo_folder / "waves-by-two" / "cinemo.json").exists()


def test_the_readmes_tenant_gets_its_key(redis_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEMO_REDIS_URL", f"redis://127.0.0.1:{redis_port}/0")
    monkeypatch.setenv("CINEMO_URL_SIGNING_KEY", "for tests alone")
    done = run(KEYS, tmp_path)
    assert done.returncode == 0, done.stderr
    limits, token = done.stdout.splitlines()
    assert json.loads(limits)["weight"] == 2
    assert token.startswith("cin_")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """`make up` on a port that is free."""
    port = free_port()
    arguments = f"ARGUMENTS=--port {port} --folder {tmp_path / 'stack'}"
    process = subprocess.Popen(
        ["make", "up", arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Ctrl-C stops everything" in line:
            break
    yield f"127.0.0.1:{port}", process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_the_stack_serves_the_readmes_client_and_ctrl_c_stops_all_of_it(
    stack: tuple[str, "subprocess.Popen[str]"], photo_folder: Path
) -> None:
    place, process = stack
    assert STACK.strip() == "make up"
    done = run(CLIENT.replace("127.0.0.1:8000", place), photo_folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (photo_folder / "video.mp4").read_bytes()[4:8] == b"ftyp"

    (photo_folder / "video.mp4").unlink()
    done = run(f"python - <<'END'\n{PYTHON_CLIENT.replace('127.0.0.1:8000', place)}\nEND", photo_folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (photo_folder / "video.mp4").read_bytes()[4:8] == b"ftyp"

    render_dataset(RenderConfig(clips=12, width=96, height=64), photo_folder / "stack/storage/data/datasets/waves", 1)
    page = (ROOT / "docs" / "training.md").read_text()
    client = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[-1]
    done = run(client.replace("127.0.0.1:8000", place), photo_folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["request"]["model"].startswith("waves@")

    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout is not None
    assert "stopped" in process.stdout.read()
    wait_until(lambda: process.poll() is not None, 30, "the end of make up")

    def nobody_answers() -> bool:
        try:
            httpx.get(f"http://{place}/healthz")
        except httpx.TransportError:
            return True
        return False

    wait_until(nobody_answers, 10, "the API's end")
    left = subprocess.run(["pgrep", "-f", str(photo_folder / "stack")], capture_output=True, text=True).stdout
    assert not left, "no part of the stack outlives it"
