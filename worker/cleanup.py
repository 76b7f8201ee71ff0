"""Deletes stored files of unsuccessful attempts and training states no longer needed.

If the storage is unavailable, they are deleted later, with the rest of the job's files.
"""

import structlog

from service.contract.problems import Problem
from service.contract.record import Job
from service.contract.states import JobStatus
from service.contract.storage_keys import attempt_prefix, checkpoint_prefix, item_of
from service.storage import ObjectStore
from service.store.worker_jobs import WorkerJobs

log = structlog.get_logger()


def clear(job: Job, jobs: WorkerJobs, storage: ObjectStore) -> None:
    """Delete the files of earlier attempts, and those of this one unless the job has succeeded with it.

    Training attempts build on one another, so their files stay; the states are deleted once the job has succeeded.
    """
    try:
        # Read the record: Redis may have recorded a success even if its response was lost.
        record = jobs.queries.get(job.id)
        winner = record.attempt if record is not None and record.status is JobStatus.SUCCEEDED else None
        for prefix in unneeded_prefixes(job, winner):
            storage.delete(prefix)
            jobs.stored.release(job.tenant, item_of(prefix))
    except Problem as problem:
        log.warning("cleanup postponed", error=problem.detail)


def unneeded_prefixes(job: Job, winner: int | None) -> list[str]:
    """Prefixes that are no longer needed after an attempt; `winner` is the successful attempt, if any."""
    if job.kind == "train":
        return [checkpoint_prefix(job.id)] if winner else []
    return [attempt_prefix(job.id, attempt) for attempt in range(1, job.attempt + 1) if attempt != winner]
