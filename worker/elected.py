"""Rounds that are made again and again by one worker of all: every worker has the thread, one of them is elected."""

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import structlog

from service.errors import Problem
from service.jobs.store import JobStore

log = structlog.get_logger()

TERM_ROUNDS = 3


@dataclass(kw_only=True)
class Elected(ABC):
    """Makes a round in every `interval_seconds` while its worker is the one that is elected."""

    jobs: JobStore
    name: str
    interval_seconds: float
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin, in a thread that does not keep the process alive."""
        threading.Thread(target=self._run, name=type(self).__name__.lower(), daemon=True).start()

    def _run(self) -> None:
        while not self.stopped.wait(self.interval_seconds):
            try:
                if self.jobs.elect_reaper(self.name, TERM_ROUNDS * self.interval_seconds):
                    self.round()
            except Problem as problem:
                log.warning("round not finished", of=type(self).__name__, error=str(problem))
            except Exception:
                # Without its rounds the service would stand still, little by little and unseen.
                log.exception("round failed", of=type(self).__name__)

    @abstractmethod
    def round(self) -> None:
        """Look around once."""
