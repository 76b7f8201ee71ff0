"""What the one worker process that is elected does in threads, again and again."""

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from time import monotonic

import structlog

from service.contract.problems import Problem, QueueUnavailable
from service.store.jobs import JobStore

log = structlog.get_logger()

TERM_ROUNDS = 3
LATE_SECONDS = 1
"""An answer that takes longer than this, and than a round, counts as an outage."""
ROUNDS_OF_REST = 4
"""After an outage, for all others to come back: who was kept from saying that it lives is not dead."""


@dataclass(kw_only=True)
class Elected(ABC):
    """Makes a round in every `interval_seconds` while its worker is the one that is elected."""

    jobs: JobStore
    name: str
    interval_seconds: float
    rests: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin, in a thread that does not keep the process alive."""
        threading.Thread(target=self._run, name=type(self).__name__.lower(), daemon=True).start()

    def _run(self) -> None:
        while not self.stopped.wait(self.interval_seconds):
            try:
                self.turn()
            except Problem as problem:
                log.warning("turn not finished", of=type(self).__name__, error=str(problem))
            except Exception:
                # Without its turns the service would stand still, little by little and unseen.
                log.exception("turn failed", of=type(self).__name__)

    def turn(self) -> None:
        """Make a round, if it is this worker's to make."""
        resting = self.rests > 0
        self.rests = max(0, self.rests - 1)
        began = monotonic()
        try:
            elected = self.jobs.elect_reaper(self.name, TERM_ROUNDS * self.interval_seconds)
            if monotonic() - began > max(LATE_SECONDS, self.interval_seconds):
                # Redis was out of reach, even if nothing broke.
                self.rests = ROUNDS_OF_REST
            elif elected and not resting:
                self.round()
        except QueueUnavailable:
            self.rests = ROUNDS_OF_REST
            raise

    @abstractmethod
    def round(self) -> None:
        """Look around once."""
