"""Background threads that run in every worker, but do their periodic work only in the elected one."""

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from time import monotonic

import structlog

from service.contract.problems import Problem, QueueUnavailable
from service.store.worker_jobs import WorkerJobs

log = structlog.get_logger()

TERM_ROUNDS = 3
OUTAGE_SECONDS = 1
"""A response that takes longer than this and than the interval counts as an outage."""
SKIPPED_ROUNDS = 4
"""Rounds skipped after an outage, because workers that could not renew leases or send heartbeats aren't dead."""


@dataclass(kw_only=True)
class ElectedThread(ABC):
    """Calls `round` every `interval_seconds` while its worker is the elected one."""

    jobs: WorkerJobs
    name: str
    interval_seconds: float
    rounds_to_skip: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start a daemon thread."""
        threading.Thread(target=self._run, name=type(self).__name__.lower(), daemon=True).start()

    def _run(self) -> None:
        while not self.stopped.wait(self.interval_seconds):
            try:
                self.round_if_elected()
            except Problem as problem:
                log.warning("round not finished", thread=type(self).__name__, error=str(problem))
            except Exception:
                # Continue: without these rounds, the service would slowly stop working, unnoticed.
                log.exception("round failed", thread=type(self).__name__)

    def round_if_elected(self) -> None:
        """Run a round if this worker is elected and there was no recent outage."""
        skipping = self.rounds_to_skip > 0
        self.rounds_to_skip = max(0, self.rounds_to_skip - 1)
        started = monotonic()
        try:
            elected = self.jobs.recovery.elect(self.name, TERM_ROUNDS * self.interval_seconds)
            if monotonic() - started > max(OUTAGE_SECONDS, self.interval_seconds):
                # Redis was unavailable, even if no call failed.
                self.rounds_to_skip = SKIPPED_ROUNDS
            elif elected and not skipping:
                self.round()
        except QueueUnavailable:
            self.rounds_to_skip = SKIPPED_ROUNDS
            raise

    @abstractmethod
    def round(self) -> None:
        """Do the periodic work once."""
