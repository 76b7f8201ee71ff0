"""Puts jobs whose worker fell silent back on the queue, expires those whose deadline has passed, and reminds the
workers of jobs that still wait.

Every worker has one in a thread; at any time one of them is elected.
"""

import threading
from dataclasses import dataclass, field

import structlog

from service.errors import QueueUnavailable
from service.jobs.queue import JobQueue
from service.jobs.store import JobStore

log = structlog.get_logger()

ROUNDS_A_LEASE = 4
TERM_ROUNDS = 3


@dataclass
class Reaper:
    """Looks around once in every `interval_seconds`."""

    jobs: JobStore
    queue: JobQueue
    name: str
    interval_seconds: float
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin, in a thread that does not keep the process alive."""
        threading.Thread(target=self._run, name="reaper", daemon=True).start()

    def _run(self) -> None:
        while not self.stopped.wait(self.interval_seconds):
            try:
                if self.jobs.elect_reaper(self.name, TERM_ROUNDS * self.interval_seconds):
                    self.round()
            except QueueUnavailable as error:
                log.warning("nothing reaped", error=str(error))

    def round(self) -> None:
        """Look at every passed deadline, every lapsed lease and every due hint once."""
        for job_id in self.jobs.past_deadline():
            expired = self.jobs.expire(job_id)
            if expired and expired.happened:
                log.info("deadline passed", job=job_id, status=expired.status)
        for job_id in self.jobs.lapsed():
            change = self.jobs.reap(job_id)
            if change and change.happened:
                log.warning("lease lapsed", job=job_id, status=change.status)
        for job_id, kind in self.jobs.due_hints():
            self.queue.enqueue(job_id, kind)
