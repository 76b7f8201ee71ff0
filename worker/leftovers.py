"""Removes what attempts at a job have stored in vain; what it cannot reach now goes with the job's other data."""

import structlog

from service.errors import Problem
from service.jobs.model import Job
from service.jobs.states import JobStatus
from service.jobs.store import JobStore
from service.storage import ObjectStore

log = structlog.get_logger()


def clear(job: Job, jobs: JobStore, storage: ObjectStore) -> None:
    """Remove the files of earlier attempts, and those of this one unless the job has succeeded with them.

    The attempts of a training add to one another, so theirs stay.
    """
    if job.kind == "train":
        return
    try:
        # The record alone knows: an answer of Redis that was lost may have been a yes.
        known = jobs.get(job.id)
        won = known is not None and known.status is JobStatus.SUCCEEDED and known.attempt == job.attempt
        for attempt in range(1, job.attempt + (not won)):
            storage.delete(f"jobs/{job.id}/{attempt}/")
    except Problem as problem:
        log.warning("leftovers stay for now", error=problem.detail)
