"""Processes of the suite: started, killed, frozen, and started anew when they die, as an orchestrator would."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import wait_until

LOOK_SECONDS = 0.05


class Nursery:
    """The process that forks the others; see nursery.py."""

    def __init__(self, folder: Path) -> None:
        with (folder / "nursery.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.nursery"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        self._lock = threading.Lock()
        self._answer()

    def fork(self, module: str, arguments: list[str], environment: dict[str, str], log: Path) -> int:
        """Start a process; returns its id."""
        order = {"module": module, "arguments": arguments, "environment": environment, "log": str(log)}
        with self._lock:
            assert self._process.stdin
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return int(self._answer())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout
        answer = self._process.stdout.readline().strip()
        assert answer, "the nursery has ended; see nursery.log"
        return answer


@contextmanager
def open_nursery(folder: Path) -> Iterator[Nursery]:
    """A nursery until the context is left; one does for many cases."""
    nursery = Nursery(folder)
    try:
        yield nursery
    finally:
        nursery.close()


@dataclass
class Part:
    """One process, which may be started again and again."""

    nursery: Nursery
    name: str
    module: str
    arguments: list[str]
    environment: dict[str, str]
    log: Path
    pid: int = 0
    kept: bool = False
    """Whether it is started anew when it dies."""
    starts: int = 0

    def start(self) -> None:
        self.starts += 1
        self.pid = self.nursery.fork(self.module, self.arguments, self.environment, self.log)

    @property
    def alive(self) -> bool:
        return bool(self.pid) and Path(f"/proc/{self.pid}").exists()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process is there."""
        if self.alive:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def stop(self, seconds: float = 90) -> None:
        """Ask it to go, and wait until it has."""
        self.kept = False
        self.signal(signal.SIGTERM)
        wait_until(lambda: not self.alive, seconds, f"the end of {self.name}")


@dataclass
class Keeper:
    """Starts those anew that die and are to be kept."""

    parts: list[Part]
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.stopped.wait(LOOK_SECONDS):
            for part in self.parts:
                if part.kept and not part.alive:
                    part.start()

    def stop(self) -> None:
        self.stopped.set()
        self._thread.join()
