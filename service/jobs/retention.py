"""What a job leaves behind goes in the end: its data first, then its record, then its place in the list of jobs.

Data is marked as removed, then deleted, then confirmed as gone; whoever dies between two steps is followed by somebody
who takes all of them again. What is still to go stands in Redis apart from the records, so that it is not forgotten
with them.
"""

from dataclasses import dataclass

import structlog

from service.jobs.store import JobStore
from service.storage import ObjectStore

log = structlog.get_logger()

PLACES = ("inputs", "jobs", "checkpoints")
MOST_REMOVED = 50
MOST_FORGOTTEN = 1000


@dataclass(frozen=True)
class Retention:
    """Raises `QueueUnavailable` or `StorageUnavailable` where one of the two does not answer."""

    jobs: JobStore
    storage: ObjectStore

    def remove(self, tenant: str, job_id: str) -> None:
        """Remove the data of a job that has ended, or whose record is gone; of another one nothing."""
        if not self.jobs.mark_removed(job_id):
            return
        for place in PLACES:
            self.storage.delete(f"{place}/{job_id}/")
        self.jobs.confirm_removed(tenant, job_id)

    def round(self) -> bool:
        """Remove some of the data whose time has come, and forget some of the jobs whose records have expired.

        Returns whether there may be more.
        """
        due = self.jobs.due_removals(MOST_REMOVED)
        for tenant, job_id in due:
            self.remove(tenant, job_id)
            log.info("data removed", job=job_id, tenant=tenant)
        forgotten = self.jobs.forget_expired(MOST_FORGOTTEN)
        return len(due) == MOST_REMOVED or forgotten == MOST_FORGOTTEN
