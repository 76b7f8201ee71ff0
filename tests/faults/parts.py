"""Processes of the suite: started, killed, frozen, and restarted when they die, as by an orchestrator."""

import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.forked import Process
from tests.processes import PYTHON, wait_until

LOOK_SECONDS = 0.05


@dataclass
class ManagedProcess:
    """One process, which can be restarted."""

    name: str
    module: str
    arguments: list[str]
    environment: dict[str, str]
    log: Path
    process: Process | None = None
    kept: bool = False
    """Whether it is started anew when it dies."""
    starts: int = 0

    def start(self) -> None:
        self.starts += 1
        command = [PYTHON, "-m", self.module, *self.arguments]
        with self.log.open("ab") as log:
            self.process = Process(command, env=self.environment, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if the process is running."""
        if self.process:
            self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def stop(self, seconds: float = 90) -> None:
        """Ask it to stop, and wait until it has."""
        self.kept = False
        self.signal(signal.SIGTERM)
        wait_until(lambda: not self.alive, seconds, f"the end of {self.name}")


@dataclass
class Keeper:
    """Restarts processes that die, if they should be kept running."""

    parts: list[ManagedProcess]
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
