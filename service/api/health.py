"""GET /healthz and /readyz: alive, and able to accept jobs."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from service.api.context import ContextOf
from service.api.documents import problems
from service.errors import QueueUnavailable, RedisUnsafe, ServiceDraining, StorageUnavailable

router = APIRouter(tags=["monitoring"])


class Health(BaseModel):
    """The process runs, or more."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Alive")
async def healthz() -> Health:
    """Answers as long as the process does; looks at nothing else, and waits for no thread, all of which may be busy."""
    return Health()


@router.get(
    "/readyz",
    summary="Able to serve",
    responses=problems(ServiceDraining, QueueUnavailable, RedisUnsafe, StorageUnavailable),
)
def readyz(context: ContextOf) -> Health:
    """Asks Redis, also as the queue is reached, and the storage.

    The problem says which one does not answer, or that the process is about to stop.
    """
    if context.watch.draining:
        raise ServiceDraining("this process was told to stop, and takes requests for a moment only")
    context.jobs.check()
    context.queue.check()
    context.storage.check()
    return Health()
