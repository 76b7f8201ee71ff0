"""GET /healthz and /readyz: liveness and readiness probes."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from service.api.context import ContextOf
from service.api.openapi import problems
from service.contract.problems import QueueUnavailable, RedisUnsafe, ServiceDraining, StorageUnavailable

router = APIRouter(tags=["monitoring"])


class Health(BaseModel):
    """The process is running, or ready."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Liveness")
async def healthz() -> Health:
    """Responds as long as the process is running, even if all its threads are busy. Checks nothing else."""
    return Health()


@router.get(
    "/readyz",
    summary="Readiness",
    responses=problems(ServiceDraining, QueueUnavailable, RedisUnsafe, StorageUnavailable),
)
def readyz(context: ContextOf) -> Health:
    """Checks Redis, including the queue's connection, and the storage.

    The error names the one that doesn't respond, or states that the process is about to stop.
    """
    if context.watch.draining:
        raise ServiceDraining("this process is shutting down")
    context.jobs.check()
    context.queue.check()
    context.storage.check()
    return Health()
