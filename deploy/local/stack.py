"""Runs Redis, the API, workers and a webhook sender as child processes: started in order, watched, stopped together."""

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
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StackFailed(Exception):
    """A process did not start, or died; the message contains the end of its log."""


class Interrupted(BaseException):
    """A signal stopped the stack, or its parent process has ended; no `except Exception` of a library catches it."""


def start_orphan_stopper() -> "subprocess.Popen[str]":
    """Start the process that stops the stack if this one is killed."""
    command = [sys.executable, "-m", "deploy.local.orphans"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)


def start_process(
    command: list[str], environment: dict[str, str], log: IO[bytes], registry: int
) -> subprocess.Popen[bytes]:
    """Start a process in its own session, so that Ctrl-C reaches only this one, and register its process group."""
    return subprocess.Popen(
        command,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # The child registers itself before it runs, so that it is known even if this process is killed now.
        preexec_fn=lambda: os.write(registry, f"{os.getpid()}\n".encode()),
    )


Starter = Callable[[list[str], dict[str, str], IO[bytes], int], subprocess.Popen[bytes]]
"""Starts a command with an environment, a log, and the file descriptor on which to register its process group."""


@dataclass
class Stack:
    """The running processes; `folder` holds their logs and data."""

    folder: Path
    port: int
    redis_port: int
    environment: dict[str, str]
    start: Starter = start_process
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    signals: list[str] = field(default_factory=list)
    """Names of the signals received, from `interrupt_on_signals`."""
    orphan_stopper: "subprocess.Popen[str]" = field(default_factory=start_orphan_stopper, init=False)
    """Stops the processes if this one can't."""
    parent_pid: int = field(default_factory=os.getppid, init=False)

    @property
    def url(self) -> str:
        """URL of the API."""
        return f"http://127.0.0.1:{self.port}"

    def log_path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def spawn(self, name: str, command: list[str]) -> None:
        """Start a process, or restart it."""
        with signals_deferred(), self.log_path(name).open("ab" if name in self.processes else "wb") as log:
            assert self.orphan_stopper.stdin is not None
            self.processes[name] = self.start(command, self.environment, log, self.orphan_stopper.stdin.fileno())

    def check(self) -> None:
        """Restart processes that exit with EX_TEMPFAIL, as workers do to be replaced.

        Raises:
            StackFailed: a process has died.
            Interrupted: make, which started this process, has ended, or a signal was received while a finalizer ran,
                out of which Python lets no exception.
        """
        if self.signals:
            raise Interrupted(self.signals[0])
        if "MAKELEVEL" in os.environ and os.getppid() != self.parent_pid:
            raise Interrupted("the end of make")
        for name, process in list(self.processes.items()):
            if process.poll() == os.EX_TEMPFAIL:
                self.spawn(name, cast(list[str], process.args))
            elif process.returncode is not None:
                lines = self.log_path(name).read_text(errors="replace").splitlines()[-TAIL_LINES:]
                raise StackFailed(f"{name} ended with exit code {process.returncode}:\n" + "\n".join(lines))

    def wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait for a condition; raises `StackFailed` if a process dies or it takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise StackFailed(f"{name} was not ready after {START_SECONDS} seconds; see {self.log_path(name)}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the processes, last started first, with SIGTERM, then SIGKILL."""
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # Before the process IDs that it knows are reused.
        self.orphan_stopper.kill()
        self.orphan_stopper.communicate()


@contextmanager
def running_stack(
    folder: Path,
    port: int | None = None,
    say: Callable[[str], None] = print,
    trainer: bool = False,
    start: Starter = start_process,
) -> Iterator[Stack]:
    """Run the whole stack, ready for jobs, optionally with a training worker; stops it when the context exits.

    Raises:
        StackFailed: a process did not start.
        Interrupted: a signal was received; raised from within the context.
    """
    folder = folder.resolve()
    for name in ("redis", "storage"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    api_port, redis_port = port or free_port(), free_port()
    stack = Stack(folder, api_port, redis_port, make_environment(folder, api_port, redis_port), start)
    with interrupt_on_signals() as stack.signals:
        try:
            start_processes(stack, say)
            if trainer:
                start_trainer(stack)
            yield stack
        finally:
            stack.stop()


def start_processes(stack: Stack, say: Callable[[str], None]) -> None:
    """Start Redis, the API, a worker and a webhook sender, and wait until they are ready."""
    say("starting Redis, the API, a worker and the webhook sender")
    stack.spawn("redis", redis_command(stack.redis_port, stack.folder / "redis"))
    stack.wait_for("redis", lambda: answers_ping(stack.redis_port))
    stack.spawn("api", [sys.executable, "-m", "service", "--port", str(stack.port)])
    stack.spawn("worker", [sys.executable, "-m", "worker"])
    stack.spawn("webhooks", [sys.executable, "-m", "worker", "--queue", "webhooks"])
    stack.wait_for("api", lambda: is_ready(stack.url))
    say("the API is ready; the worker is loading the model")
    stack.wait_for("worker", lambda: worker_answers(stack.environment["CINEMO_REDIS_URL"]))


def start_trainer(stack: Stack) -> None:
    """Start a training worker and wait until both workers respond."""
    stack.spawn("trainer", [sys.executable, "-m", "worker", "--queue", "train"])
    stack.wait_for("trainer", lambda: worker_answers(stack.environment["CINEMO_REDIS_URL"], 2))


def make_environment(folder: Path, port: int, redis_port: int) -> dict[str, str]:
    """The environment of the stack's processes; variables that are set take precedence, except for the Redis URL."""
    defaults = {
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "CINEMO_STORAGE_URL": f"file://{folder / 'storage'}",
        "CINEMO_URL_SIGNING_KEY": secrets.token_hex(32),
        "CINEMO_AUTH": "off",
        # There is no load balancer that needs time.
        "CINEMO_DRAIN_SECONDS": "0",
        # Clients are on this machine, and so are the servers whose URLs they send.
        "CINEMO_OUTBOUND_ALLOWED_NETWORKS": '["127.0.0.0/8", "::1/128"]',
        "CINEMO_WORK_FOLDER": str(folder / "work"),
        "PYTHONUNBUFFERED": "1",
    }
    given = {name: value for name, value in os.environ.items() if name != "CINEMO_REDIS_URL"}
    return {**defaults, **given}


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
    """Whether that many workers respond to a ping, which each does only once its model is loaded."""
    responses = Celery(broker=redis_url, set_as_current=False).control.inspect(timeout=0.5).ping() or {}
    return len(responses) >= workers


@contextmanager
def interrupt_on_signals() -> Iterator[list[str]]:
    """Turn SIGINT, SIGTERM and SIGHUP into `Interrupted`, so that started processes are stopped; yields their names.

    Further signals, from make or an impatient user, are ignored, since they would interrupt the stopping.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        received.append(signal.Signals(number).name)
        raise Interrupted(received[0])

    received: list[str] = []

    # nohup ignores SIGHUP, which stays ignored.
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = STOP_SIGNALS[:2] if nohup else STOP_SIGNALS
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Handle signals only after the context exits, so that a process is started and registered, or neither."""
    received: list[int] = []

    def defer(number: int, frame: FrameType | None) -> None:
        received.append(number)

    handled = [number for number in STOP_SIGNALS if callable(signal.getsignal(number))]
    before = {number: signal.signal(number, defer) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in received:
            signal.raise_signal(each)
