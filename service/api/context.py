"""What the routes work with, created once at startup."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from service.api.memory_budget import MemoryBudget
from service.api.shared_metrics import SharedMetrics
from service.api.tenant_limiter import RequestLimiter
from service.api.thread_pools import ThreadPools
from service.api.wait_limiter import WaitLimiter
from service.contract.settings import Settings
from service.outbound.client import Outbound
from service.policy.hook import PolicyHook
from service.storage import ObjectStore
from service.storage.models import ModelRegistry
from service.store.api_jobs import ApiJobs
from service.store.cards import Cards
from service.store.lookups import Lookups
from service.store.queue import JobQueue
from service.store.retention import Retention
from service.store.uploads import Uploads
from service.store.watch import JobWatch
from service.store.workers import WorkerRegistry
from service.webhooks.outbox import Outbox


@dataclass(frozen=True)
class Context:
    settings: Settings
    jobs: ApiJobs
    queue: JobQueue
    storage: ObjectStore
    models: ModelRegistry
    cards: Cards
    watch: JobWatch
    lookups: Lookups
    outbox: Outbox
    uploads: Uploads
    outbound: Outbound
    shared_metrics: SharedMetrics
    workers: WorkerRegistry
    body_memory: MemoryBudget
    pools: ThreadPools
    request_limiter: RequestLimiter
    wait_limiter: WaitLimiter
    policy: PolicyHook | None

    @property
    def retention(self) -> Retention:
        return Retention(self.jobs.removals, self.storage)


def context_of(request: Request) -> Context:
    """Return the app's context."""
    return cast(Context, request.app.state.context)


async def get_context(request: Request) -> Context:
    """Likewise; async only so that FastAPI uses no thread for it."""
    return context_of(request)


ContextOf = Annotated[Context, Depends(get_context)]
