"""Starts processes like subprocess, but forks those of our programs from nurseries, tests/nursery.py."""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import SimpleNamespace
from typing import IO, Any, Self

from deploy.lock import ROOT
from tests.nursery import DECODERS, HELD, NUMBER, PROGRAMS, ROOM, STREAMS, TITLE, Order

NURSERY = "TESTS_NURSERY"
"""Names the nurseries' folder in the environment of a run's processes; where it does not, none is forked."""
MODULES = {
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
DECODER = "cinemo_core.sandbox.child"
OPTIONS = {"env", "stdin", "stdout", "stderr", "start_new_session"}
"""Of Popen, which a forked program knows, too."""
EARLY = ("PYTHON", "LD_", "OMP_", "MKL_", "OPENBLAS_", "HF_", "TRANSFORMERS_")
"""How variables begin that interpreter and libraries read while they are loaded: too early for what is forked."""
NOT_EARLY = "PYTHONUNBUFFERED"
INTERPRETER = sys.executable
UNBUFFERED = "-u"
WORDS = {UNBUFFERED, "-P"}
"""Options allowed before `-m`; a forked process imports nothing from its folder anyway."""
TIMEOUT_SECONDS = 240

Stream = int | IO[Any] | None


class Process(subprocess.Popen[bytes]):
    """A Popen that forks what can be forked, and starts anything else."""

    def __new__(cls, args: Sequence[str], *rest: Any, **options: Any) -> Self:
        forks = not rest and can_fork(args, options.get("env") or os.environ, options)
        made: Any = super().__new__(Forked if forks else Process)
        return made


FORKING = SimpleNamespace(**{**vars(subprocess), "Popen": Process})
"""Like the module subprocess, but forks what can be forked."""


class Forked(Process):
    """A child of the nursery, handled like one of this process; it has its own session."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        pass_fds: Sequence[int] = (),
        bufsize: int = -1,
        start_new_session: bool = True,
    ) -> None:
        self.args, self.returncode = args, None
        self.stdin = self.stdout = self.stderr = None
        self._lock = threading.Lock()
        environment = dict(env or os.environ)
        if args[1] == UNBUFFERED:
            environment["PYTHONUNBUFFERED"] = "1"
        kind = DECODERS if DECODER in args else PROGRAMS
        order = Order(list(args), environment, cwd or str(Path.cwd()), [*range(STREAMS), *pass_fds])
        with ExitStack() as piped:
            if stdin == subprocess.PIPE:
                stdin, ours = os.pipe()
                piped.callback(os.close, stdin)
                self.stdin = os.fdopen(ours, "wb", bufsize)
            if stdout == subprocess.PIPE:
                ours, stdout = os.pipe()
                piped.callback(os.close, stdout)
                self.stdout = os.fdopen(ours, "rb", bufsize)
            output = descriptor(stdout, 1)
            errors = output if stderr == subprocess.STDOUT else descriptor(stderr, 2)
            # A decoder's environment does not name the folder.
            self._nursery = connect(Path({**os.environ, **environment}[NURSERY]), kind)
            socket.send_fds(self._nursery, [b"\n"], [descriptor(stdin, 0), output, errors, *pass_fds])
            self._nursery.sendall(json.dumps(vars(order)).encode() + b"\n")
            pid = self._answer()
        assert pid is not None, "the nursery has ended"
        self.pid = pid

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
                    code = self._answer()
                # A nursery ends together with all that it has forked.
                self.returncode = -signal.SIGKILL if code is None else code
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def _answer(self) -> int | None:
        """The next number from the nursery; None if it has ended."""
        answer = self._nursery.recv(NUMBER.size, socket.MSG_WAITALL)
        return NUMBER.unpack(answer)[0] if answer else None


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
    interpreter, *words = (word for word in args[:4] if word not in WORDS)
    if sys.platform != "linux" or interpreter != INTERPRETER or words[:1] != ["-m"]:
        return False
    if words[1:2] == [DECODER]:
        # Its environment is always the same and contains nothing of this process's own.
        return NURSERY in os.environ
    return (
        NURSERY in environment
        and MODULES.issuperset(words[1:2])
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


def connect(folder: Path, kind: str) -> socket.socket:
    """Connect to the nursery of a folder and kind; the first caller starts it."""
    nursery = socket.socket(socket.AF_UNIX)
    with (folder / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / kind).exists():
            start(folder, kind)
    nursery.connect(str(folder / kind))
    return nursery


def start(folder: Path, kind: str) -> None:
    """Start a nursery; returns once it accepts orders."""
    command = [sys.executable, "-m", "tests.nursery", str(folder), kind, TITLE]
    log = folder / f"{kind}.log"
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env={**os.environ, **ROOM},
            start_new_session=True,
        )
    assert done.returncode == 0, log.read_text()


@contextmanager
def open_nursery() -> Iterator[None]:
    """Fork processes from nurseries, in this process and its children; each is started on first use."""
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
