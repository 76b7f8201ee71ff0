"""The real programs that tests run against, each in its own process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import redis

from tests.forked import Process

PYTHON = sys.executable


def wait_until(holds: Callable[[], bool], seconds: float = 60, what: str = "the condition") -> None:
    """Return as soon as a condition holds; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} was not met within {seconds} seconds")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether a GET returns 200."""
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def rewrites(client: "redis.Redis") -> bool:
    """Whether Redis is rewriting its append-only file, or is about to."""
    info: Any = client.info("persistence")
    return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])


@contextmanager
def running(
    command: list[str], log: Path, ready: Callable[[], bool], environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, from when it is ready; stopped at the end."""
    with log.open("wb") as output:
        process = Process(command, env=environment, stdout=output, stderr=subprocess.STDOUT)

    def is_ready() -> bool:
        assert process.poll() is None, f"{command} ended early:\n{log.read_text(errors='replace')}"
        return ready()

    try:
        wait_until(is_ready, 60, f"{command} being ready")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fork_part(command: list[str], environment: dict[str, str], log: IO[bytes], registry: int) -> Process:
    """Start a process of a stack like deploy.local.stack, but fork it if possible."""
    part = Process(command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    os.write(registry, f"{part.pid}\n".encode())
    return part
