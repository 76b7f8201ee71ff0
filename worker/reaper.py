"""Puts jobs whose worker fell silent back on the queue, expires those whose deadline has passed, and reminds the
workers of jobs that still wait.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from service.contract.problems import QueueRefused, QueueUnavailable
from service.contract.record import JobKind
from service.store.queue import JobQueue
from worker.elected import Elected

log = structlog.get_logger()

ROUNDS_A_LEASE = 4

T = TypeVar("T")


@dataclass(kw_only=True)
class Reaper(Elected):
    """Looks after the jobs themselves."""

    queue: JobQueue

    def round(self) -> None:
        """Look at every passed deadline, every lapsed lease and every due hint once."""
        each(self.jobs.past_deadline(), self._expire)
        each(self.jobs.lapsed(), self._reap)
        each(self.jobs.due_wakeups(), self._remind)
        self.jobs.note_round()

    def _expire(self, job_id: str) -> None:
        expired = self.jobs.expire(job_id)
        if expired and expired.happened:
            log.info("deadline passed", job=job_id, status=expired.status)

    def _reap(self, job_id: str) -> None:
        change = self.jobs.reap(job_id)
        if change and change.happened:
            log.warning("lease lapsed", job=job_id, status=change.status)

    def _remind(self, hint: tuple[str, JobKind]) -> None:
        self.queue.enqueue(*hint)


def each(jobs: Sequence[T], look_after: Callable[[T], None]) -> None:
    """Look after some jobs; one that cannot be looked after stands in no other's way."""
    for job in jobs:
        try:
            look_after(job)
        except Exception as error:
            if isinstance(error, QueueUnavailable) and not isinstance(error, QueueRefused):
                raise
            log.exception("job not looked after", job=job)
