"""Redis, API, worker and sender of webhooks as processes of this one: started in order, watched, stopped together."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, cast

import httpx
import redis
from celery import Celery

from deploy.local.redis import free_port, redis_command

START_SECONDS = 120
STOP_SECONDS = 20
TAIL_LINES = 20
INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StackFailed(Exception):
    """A part did not start, or died; the message holds the end of its log."""


class Interrupted(Exception):
    """A signal asked the stack to stop, or who started it is gone."""


def start_keeper() -> "subprocess.Popen[str]":
    """The process that outlives this one where this one is killed."""
    command = [sys.executable, "-m", "deploy.local.keeper"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)


def start_part(command: list[str], environment: dict[str, str], log: IO[bytes], keeper: int) -> subprocess.Popen[bytes]:
    """Start a part in a session of its own, so that Ctrl-C reaches this process first; the keeper learns its number."""
    return subprocess.Popen(
        command,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # By the part itself before it runs: were this process killed in between, nobody would know of it.
        preexec_fn=lambda: os.write(keeper, f"{os.getpid()}\n".encode()),
    )


Starter = Callable[[list[str], dict[str, str], IO[bytes], int], subprocess.Popen[bytes]]
"""Starts a command with an environment, a log and where the keeper reads."""


@dataclass
class Stack:
    """The running parts; `folder` holds their logs and data."""

    folder: Path
    port: int
    redis_port: int
    environment: dict[str, str]
    start: Starter = start_part
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    keeper: "subprocess.Popen[str]" = field(default_factory=start_keeper, init=False)
    """Ends the parts where this process cannot."""
    starter: int = field(default_factory=os.getppid, init=False)

    @property
    def url(self) -> str:
        """Where the API listens."""
        return f"http://127.0.0.1:{self.port}"

    def log_path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def spawn(self, name: str, command: list[str]) -> None:
        """Start a part, or start it again."""
        with undisturbed(), self.log_path(name).open("ab" if name in self.processes else "wb") as log:
            assert self.keeper.stdin is not None
            self.processes[name] = self.start(command, self.environment, log, self.keeper.stdin.fileno())

    def check(self) -> None:
        """Start again what asks for it by its exit code, as a worker does that cannot go on.

        Raises:
            StackFailed: a part has died.
            Interrupted: make, which started this process, is gone.
        """
        if "MAKELEVEL" in os.environ and os.getppid() != self.starter:
            raise Interrupted("the end of make")
        for name, process in list(self.processes.items()):
            if process.poll() == os.EX_TEMPFAIL:
                self.spawn(name, cast(list[str], process.args))
            elif process.returncode is not None:
                lines = self.log_path(name).read_text(errors="replace").splitlines()[-TAIL_LINES:]
                raise StackFailed(f"{name} ended with exit code {process.returncode}:\n" + "\n".join(lines))

    def wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        """Poll a condition until it holds, a part dies or the time is over."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise StackFailed(f"{name} was not ready after {START_SECONDS} seconds; see {self.log_path(name)}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the parts, last started first: a polite signal, then the other one."""
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # It has nothing to do any more, and the numbers that it knows may soon be those of others.
        self.keeper.kill()
        self.keeper.communicate()


@contextmanager
def running_stack(
    folder: Path,
    port: int | None = None,
    say: Callable[[str], None] = print,
    trainer: bool = False,
    start: Starter = start_part,
) -> Iterator[Stack]:
    """The whole stack, ready for jobs, with a worker that trains if asked; stopped on the way out, however that comes.

    Raises:
        StackFailed: a part did not start.
        Interrupted: a signal came; raised wherever the caller is.
    """
    folder = folder.resolve()
    for part in ("redis", "storage"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    api_port, redis_port = port or free_port(), free_port()
    stack = Stack(folder, api_port, redis_port, make_environment(folder, api_port, redis_port), start)
    with stop_signals():
        try:
            start_parts(stack, say)
            if trainer:
                start_trainer(stack)
            yield stack
        finally:
            stack.stop()


def start_parts(stack: Stack, say: Callable[[str], None]) -> None:
    """Start Redis, API, worker and sender of webhooks, and wait until each can do its part."""
    say("starting Redis, the API, a worker and the sender of webhooks")
    stack.spawn("redis", redis_command(stack.redis_port, stack.folder / "redis"))
    stack.wait_for("redis", lambda: answers_ping(stack.redis_port))
    stack.spawn("api", [sys.executable, "-m", "service", "--port", str(stack.port)])
    stack.spawn("worker", [sys.executable, "-m", "worker"])
    stack.spawn("webhooks", [sys.executable, "-m", "worker", "--queue", "webhooks"])
    stack.wait_for("api", lambda: is_ready(stack.url))
    say("the API is ready; the worker loads the model")
    stack.wait_for("worker", lambda: worker_answers(stack.environment["CINEMO_REDIS_URL"]))


def start_trainer(stack: Stack) -> None:
    """Start a worker that trains, beside the one that animates, and wait until both answer."""
    stack.spawn("trainer", [sys.executable, "-m", "worker", "--queue", "train"])
    stack.wait_for("trainer", lambda: worker_answers(stack.environment["CINEMO_REDIS_URL"], 2))


def make_environment(folder: Path, port: int, redis_port: int) -> dict[str, str]:
    """The settings of a stack of its own; what the caller has set stays."""
    ours = {
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "CINEMO_STORAGE_URL": f"file://{folder / 'storage'}",
        "CINEMO_URL_SIGNING_KEY": secrets.token_hex(32),
        "CINEMO_AUTH": "off",
        # No balancer stands before it, whom it would have to give time.
        "CINEMO_DRAIN_SECONDS": "0",
        # Whoever calls this service is on this machine, and so are the servers that it is to call.
        "CINEMO_OUTBOUND_ALLOWED_NETWORKS": '["127.0.0.0/8", "::1/128"]',
        "CINEMO_WORK_FOLDER": str(folder / "work"),
        "PYTHONUNBUFFERED": "1",
    }
    kept = {name: value for name, value in os.environ.items() if name != "CINEMO_REDIS_URL"}
    return {**ours, **kept}


def answers_ping(port: int) -> bool:
    try:
        return bool(redis.Redis(port=port).ping())
    except redis.RedisError:
        return False


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def worker_answers(redis_url: str, workers: int = 1) -> bool:
    """Whether workers answer a ping, which each does only once its model is loaded."""
    answers = Celery(broker=redis_url, set_as_current=False).control.inspect(timeout=0.5).ping() or {}
    return len(answers) >= workers


@contextmanager
def stop_signals() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into `Interrupted`, so that what was started is stopped.

    The first one counts: another one, as make passes on and impatience sends, would break off the stopping.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    # By nohup the last is ignored, and stays so.
    deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = INTERRUPTING[:2] if deaf else INTERRUPTING
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Have signals that would interrupt come afterwards: a part is started and known, or neither."""
    came: list[int] = []

    def keep(number: int, frame: FrameType | None) -> None:
        came.append(number)

    heard = [number for number in INTERRUPTING if callable(signal.getsignal(number))]
    before = {number: signal.signal(number, keep) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in came:
            signal.raise_signal(each)
