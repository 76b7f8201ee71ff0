"""What a job leaves behind goes in the end: its data first, then its record, then its place in the list of jobs.

Data is marked as removed, then deleted, then confirmed as gone; whoever dies between two steps is followed by somebody
who takes all of them again. What is still to go stands in Redis apart from the records, so that it is not forgotten
with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from service.storage import ObjectStore
from service.storage.deletion import POSTPONED_SECONDS, delete_each
from service.store.queries import RecordUnreadable
from service.store.removals import JobRemovals

log = structlog.get_logger()

PLACES = ("inputs", "jobs", "checkpoints")
MOST_REMOVED = 100
MOST_FORGOTTEN = 1000


@dataclass(frozen=True)
class Retention:
    """Raises `QueueUnavailable` where Redis does not answer."""

    removals: JobRemovals
    storage: ObjectStore

    def remove(self, tenant: str, job_id: str) -> None:
        """Remove the data of a job that has ended, or whose record is gone; of another one nothing.

        Raises:
            StorageUnavailable: not all of it could be deleted; what is left goes in a later round.
        """
        prefixes = self.removals.mark(job_id)
        if not prefixes:
            return
        for prefix in prefixes:
            self.storage.delete(prefix)
        self.removals.confirm(tenant, job_id)

    def round(self) -> bool:
        """Remove some of the data whose time has come, and forget some of the jobs whose records have expired.

        Data that cannot be deleted is postponed. Returns whether there may be more that can be done now.
        """
        due = self.removals.due(MOST_REMOVED)
        removed = self._remove_each([(*job, prefixes) for job in due if (prefixes := self._mark(*job))])
        forgotten = self.removals.forget_expired(MOST_FORGOTTEN)
        return (len(due) == MOST_REMOVED and removed > 0) or forgotten == MOST_FORGOTTEN

    def _mark(self, tenant: str, job_id: str) -> list[str]:
        try:
            return self.removals.mark(job_id)
        except RecordUnreadable as error:
            log.error("data not removed", job=job_id, tenant=tenant, error=str(error))
            self.removals.postpone(tenant, job_id, POSTPONED_SECONDS)
            return []

    def _remove_each(self, marked: Sequence[tuple[str, str, list[str]]]) -> int:
        # Threads speak to the storage alone: each that asked Redis would keep a connection, in every worker.
        gone = delete_each(self.storage, [prefixes for *_, prefixes in marked])
        removed = 0
        for (tenant, job_id, _), is_gone in zip(marked, gone, strict=True):
            if is_gone:
                self.removals.confirm(tenant, job_id)
                log.info("data removed", job=job_id, tenant=tenant)
                removed += 1
            else:
                self.removals.postpone(tenant, job_id, POSTPONED_SECONDS)
        return removed
