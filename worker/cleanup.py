"""Removes what attempts at a job have stored in vain, or need no more; what it cannot reach now goes with the rest."""

import structlog

from service.contract.problems import Problem
from service.contract.record import Job
from service.contract.states import JobStatus
from service.storage import ObjectStore
from service.store.jobs import JobStore
from worker.checkpoints import prefix_of

log = structlog.get_logger()


def clear(job: Job, jobs: JobStore, storage: ObjectStore) -> None:
    """Remove the files of earlier attempts, and those of this one unless the job has succeeded with them.

    The attempts of a training add to one another, so theirs stay; once it has succeeded its states go.
    """
    try:
        # The record alone knows: an answer of Redis that was lost may have been a yes.
        known = jobs.get(job.id)
        winner = known.attempt if known is not None and known.status is JobStatus.SUCCEEDED else None
        for prefix in needless(job, winner):
            storage.delete(prefix)
            jobs.release_stored(job.tenant, prefix.rstrip("/"))
    except Problem as problem:
        log.warning("leftovers stay for now", error=problem.detail)


def needless(job: Job, winner: int | None) -> list[str]:
    """Prefixes of what nobody needs after an attempt at a job; `winner` is the attempt by which it has succeeded."""
    if job.kind == "train":
        return [prefix_of(job.id)] if winner else []
    return [f"jobs/{job.id}/{attempt}/" for attempt in range(1, job.attempt + 1) if attempt != winner]
