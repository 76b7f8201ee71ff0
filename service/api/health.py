"""GET /healthz and /readyz: liveness and readiness probes."""

from typing import Literal

from pydantic import BaseModel

from service.api.context import ContextOf
from service.api.openapi import problems
from service.api.routes import new_router
from service.contract.problems import (
    MarkingUnavailable,
    QueueUnavailable,
    RedisUnsafe,
    ServiceDraining,
    StorageUnavailable,
)
from service.store.workers import WorkerSigning, signing_of

router = new_router("monitoring")


class Health(BaseModel):
    """The process is running, or ready."""

    status: Literal["ok"] = "ok"


def require_signers(signers: list[WorkerSigning]) -> None:
    """Raise `MarkingUnavailable` if videos must be signed but no live worker can: every job would fail."""
    problems = [each.problem for each in signers if each.required and each.problem]
    if problems and len(problems) == len(signers):
        raise MarkingUnavailable(f"videos must be signed, but no worker can: {problems[0]}")


@router.get("/healthz", summary="Liveness")
async def healthz() -> Health:
    """Responds as long as the process is running, even if all its threads are busy. Checks nothing else."""
    return Health()


@router.get(
    "/readyz",
    summary="Readiness",
    responses=problems(ServiceDraining, QueueUnavailable, RedisUnsafe, StorageUnavailable, MarkingUnavailable),
)
def readyz(context: ContextOf) -> Health:
    """Checks Redis, including the queue's connection, and the storage.

    If videos must be signed, also checks that at least one live worker can, unless there are none.

    The error names what doesn't work, or states that the process is about to stop.
    """
    if context.watch.draining:
        raise ServiceDraining("this process is shutting down")
    context.jobs.check()
    context.queue.check()
    context.storage.check()
    require_signers(signing_of(context.workers.live()))
    return Health()
