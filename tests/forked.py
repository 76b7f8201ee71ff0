"""Starts processes like subprocess, but forks those of our programs from a nursery, tests/nursery.py."""

import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, Self

from deploy.lock import ROOT
from tests.nursery import ADDRESS, HELD, NUMBER, ROOM, TITLE, Order

NURSERY = "TESTS_NURSERY"
"""Names the nursery's folder in the environment of a run's processes; where it does not, none is forked."""
PROGRAMS = {
    "accelerate.commands.launch",
    "cinemo_core",
    "deploy.cli",
    "service",
    "service.cli",
    "tests.faults.worker",
    "tests.integration.stuck_worker",
    "tests.unit.cinemo_core.training.by_two",
    "worker",
    "worker.training_process",
}
"""Modules of which the nursery has loaded what they stand on."""
OPTIONS = {"env", "stdin", "stdout", "stderr", "start_new_session"}
"""Of Popen, which a forked process knows, too."""
EARLY = ("PYTHON", "LD_", "OMP_", "MKL_", "OPENBLAS_", "HF_", "TRANSFORMERS_")
"""How variables begin that interpreter and libraries read while they are loaded: too early for what is forked."""
NOT_EARLY = "PYTHONUNBUFFERED"
UNBUFFERED = "-u"
TIMEOUT_SECONDS = 240

Stream = int | IO[Any] | None


class Process(subprocess.Popen[bytes]):
    """A Popen that forks what can be forked, and starts anything else."""

    def __new__(cls, args: Sequence[str], *rest: Any, **options: Any) -> Self:
        forks = not rest and can_fork(args, options.get("env") or os.environ, options)
        made: Any = super().__new__(Forked if forks else Process)
        return made


class Forked(Process):
    """A child of the nursery, handled like one of this process; it has its own session."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        start_new_session: bool = True,
    ) -> None:
        self.args, self.returncode = args, None
        self.stdin = self.stdout = self.stderr = None
        self._lock = threading.Lock()
        environment = dict(env or os.environ)
        if args[1] == UNBUFFERED:
            environment["PYTHONUNBUFFERED"] = "1"
        module, *arguments = args[args.index("-m") + 1 :]
        order = Order(module, arguments, environment, str(Path.cwd()))
        read, write = os.pipe() if stdin == subprocess.PIPE else (descriptor(stdin, 0), None)
        output = descriptor(stdout, 1)
        errors = output if stderr == subprocess.STDOUT else descriptor(stderr, 2)
        self._nursery = connect(Path(environment[NURSERY]))
        socket.send_fds(self._nursery, [b"\n"], [read, output, errors])
        if write is not None:
            os.close(read)
            self.stdin = os.fdopen(write, "wb")
        self._nursery.sendall(json.dumps(vars(order)).encode() + b"\n")
        self.pid = self._answer()

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, with a timeout in seconds; returns the exit code."""
        with self._lock:
            if self.returncode is None:
                poll = select.poll()
                poll.register(self._nursery, select.POLLIN)
                if not poll.poll(None if timeout is None else 1000 * timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                with self._nursery:
                    self.returncode = self._answer()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def _answer(self) -> int:
        answer = self._nursery.recv(NUMBER.size, socket.MSG_WAITALL)
        assert answer, "the nursery has ended"
        number: int
        (number,) = NUMBER.unpack(answer)
        return number


def completed(args: Sequence[str], environment: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """The output and exit code of a process, like `subprocess.run`, which cannot fork."""
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        code = Process(args, env=environment, stdout=output, stderr=errors).wait(TIMEOUT_SECONDS)
        for file in (output, errors):
            file.seek(0)
        return subprocess.CompletedProcess(args, code, output.read(), errors.read())


def can_fork(args: Sequence[str], environment: Mapping[str, str], options: Mapping[str, Any]) -> bool:
    """Whether a forked process would not differ from a started one; only on Linux."""
    outputs = {options.get("stdout"), options.get("stderr")}
    interpreter, *words = (word for word in args[:4] if word != UNBUFFERED)
    return (
        sys.platform == "linux"
        and NURSERY in environment
        and interpreter == sys.executable
        and words[:1] == ["-m"]
        and PROGRAMS.issuperset(words[1:2])
        and options.keys() <= OPTIONS
        and outputs.isdisjoint({subprocess.PIPE, subprocess.DEVNULL})
        and early(environment) == early(os.environ)
    )


def early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(EARLY) and name != NOT_EARLY}


def descriptor(stream: Stream, inherited: int) -> int:
    if stream is None:
        return inherited
    return stream if isinstance(stream, int) else stream.fileno()


def connect(folder: Path) -> socket.socket:
    """Connect to the nursery of a folder; the first caller starts it."""
    nursery = socket.socket(socket.AF_UNIX)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ADDRESS).exists():
            start(folder)
    nursery.connect(str(folder / ADDRESS))
    return nursery


def start(folder: Path) -> None:
    """Start the nursery; returns once it accepts orders."""
    command = [sys.executable, "-m", "tests.nursery", str(folder), TITLE]
    with (folder / "log").open("wb") as log:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={**os.environ, **ROOM},
            start_new_session=True,
        )
    assert done.returncode == 0, (folder / "log").read_text()


@contextmanager
def open_nursery() -> Iterator[None]:
    """Fork processes from one nursery, in this process and its children; started on first use."""
    with TemporaryDirectory(prefix="nursery-") as name:
        os.mkfifo(Path(name, HELD))
        # For reading, too, so that this waits for nobody.
        held = os.open(Path(name, HELD), os.O_RDWR)
        os.environ[NURSERY] = name
        try:
            yield
        finally:
            del os.environ[NURSERY]
            os.close(held)
