"""Requeues jobs whose worker has died, expires jobs past their deadline, and repeats the messages of waiting jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from service.contract.problems import QueueRefused, QueueUnavailable
from service.store.queue import JobQueue
from worker.elected import ElectedThread

log = structlog.get_logger()

ROUNDS_PER_LEASE = 4

T = TypeVar("T")


@dataclass(kw_only=True)
class Reaper(ElectedThread):
    """Reaps jobs, as the elected worker."""

    queue: JobQueue

    def round(self) -> None:
        """Handle every passed deadline, every lapsed lease and every due wake-up once."""
        for_each(self.jobs.recovery.past_deadline(), self._expire)
        for_each(self.jobs.recovery.lapsed(), self._reap)
        for_each(self.jobs.recovery.due_wakeups(), lambda job: self.queue.enqueue(*job))
        self.jobs.recovery.note_round()

    def _expire(self, job_id: str) -> None:
        expired = self.jobs.recovery.expire(job_id)
        if expired and expired.happened:
            log.info("deadline passed", job=job_id, status=expired.status)

    def _reap(self, job_id: str) -> None:
        change = self.jobs.recovery.reap(job_id)
        if change and change.happened:
            log.warning("lease lapsed", job=job_id, status=change.status)


def for_each(jobs: Sequence[T], handle: Callable[[T], None]) -> None:
    """Handle each job; one that fails is logged and does not affect the others."""
    for job in jobs:
        try:
            handle(job)
        except Exception as error:
            if isinstance(error, QueueUnavailable) and not isinstance(error, QueueRefused):
                raise
            log.exception("job skipped by reaper", job=job)
