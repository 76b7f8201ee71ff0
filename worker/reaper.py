"""Puts jobs whose worker fell silent back on the queue, expires those whose deadline has passed, and reminds the
workers of jobs that still wait.
"""

from dataclasses import dataclass

import structlog

from service.jobs.queue import JobQueue
from worker.elected import Elected

log = structlog.get_logger()

ROUNDS_A_LEASE = 4


@dataclass(kw_only=True)
class Reaper(Elected):
    """Looks after the jobs themselves."""

    queue: JobQueue

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
        self.jobs.note_round()
