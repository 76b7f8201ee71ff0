"""Deletes what ended jobs leave behind: their data, then their record, then their entry in the list of jobs.

Data is marked as removed, then deleted, then confirmed as deleted; if a process dies between two steps, another repeats
all of them. Pending removals are stored in Redis apart from the records, so that they outlive them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from service.storage import ObjectStore
from service.storage.deletion import POSTPONED_SECONDS, delete_each
from service.store.queries import RecordUnreadable
from service.store.removals import JobRemovals

log = structlog.get_logger()

MAX_REMOVED = 100
MAX_FORGOTTEN = 1000


@dataclass(frozen=True)
class Retention:
    """Every method raises `QueueUnavailable` if Redis does not respond."""

    removals: JobRemovals
    storage: ObjectStore

    def remove(self, tenant: str, job_id: str) -> None:
        """Remove the data of a job that has ended or whose record has expired; do nothing for other jobs.

        Raises:
            StorageUnavailable: some data could not be deleted; a later round deletes the rest.
        """
        prefixes = self.removals.mark(job_id)
        if not prefixes:
            return
        for prefix in prefixes:
            self.storage.delete(prefix)
        self.removals.confirm(tenant, job_id)

    def round(self) -> bool:
        """Remove some data that is due, and drop some jobs whose records have expired from the lists.

        Postpones data that cannot be deleted. Returns whether there may be more to do now.
        """
        due = self.removals.due(MAX_REMOVED)
        removed = self._remove_each([(*job, prefixes) for job in due if (prefixes := self._mark(*job))])
        forgotten = self.removals.forget_expired(MAX_FORGOTTEN)
        return (len(due) == MAX_REMOVED and removed > 0) or forgotten == MAX_FORGOTTEN

    def _mark(self, tenant: str, job_id: str) -> list[str]:
        try:
            return self.removals.mark(job_id)
        except RecordUnreadable as error:
            log.error("data not removed", job=job_id, tenant=tenant, error=str(error))
            self.removals.postpone(tenant, job_id, POSTPONED_SECONDS)
            return []

    def _remove_each(self, marked: Sequence[tuple[str, str, list[str]]]) -> int:
        # Only storage is accessed from threads: each thread that used Redis would keep a connection.
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
