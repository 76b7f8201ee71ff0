"""A semaphore that tenants share fairly: a tenant's requests queue only behind its own.

It knows neither threads nor memory, only sizes. Use it from the event loop's thread only.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from service.contract.problems import ServiceBusy


@dataclass(frozen=True)
class Waiter:
    size: int
    granted: asyncio.Future[None]


@dataclass
class FairSemaphore:
    """Limits what all tenants, and each tenant, hold at once; a single request may exceed either limit while alone.

    Attributes:
        capacity: what all tenants may hold together, in the unit of the requests' sizes.
        tenant_capacity: what one tenant may hold.
        timeout_seconds: how long a request waits.
    """

    capacity: int
    tenant_capacity: int
    timeout_seconds: float
    held: int = 0
    held_by: Counter[str] = field(default_factory=Counter)
    queues: dict[str, deque[Waiter]] = field(default_factory=dict)
    """Waiters by tenant, the tenant that is served next first."""

    @asynccontextmanager
    async def acquire(self, tenant: str, size: int = 1) -> AsyncIterator[None]:
        """Hold `size` within the block, after waiting for it if necessary.

        Raises:
            ServiceBusy: the wait timed out.
        """
        waiter = Waiter(size, asyncio.get_running_loop().create_future())
        self.queues.setdefault(tenant, deque()).append(waiter)
        self._grant()
        if not waiter.granted.done():
            await self._wait(tenant, waiter)
        try:
            yield
        finally:
            self.held -= size
            self.held_by[tenant] -= size
            if not self.held_by[tenant]:
                del self.held_by[tenant]
            self._grant()

    async def _wait(self, tenant: str, waiter: Waiter) -> None:
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await waiter.granted
        except TimeoutError as error:
            raise ServiceBusy("the server is at capacity; retry later") from error
        finally:
            if not waiter.granted.done() or waiter.granted.cancelled():
                self._discard(tenant, waiter)

    def _grant(self) -> None:
        """Serve waiters, tenants in turn. One that is too large for now blocks later ones, so that it can't starve."""
        for tenant in list(self.queues):
            while (queue := self.queues.get(tenant)) and self._tenant_may_hold(tenant, queue[0].size):
                if self.held and self.held + queue[0].size > self.capacity:
                    return
                waiter = queue.popleft()
                self._move_to_end(tenant)
                self.held += waiter.size
                self.held_by[tenant] += waiter.size
                waiter.granted.set_result(None)

    def _tenant_may_hold(self, tenant: str, size: int) -> bool:
        held = self.held_by.get(tenant, 0)
        return not held or held + size <= self.tenant_capacity

    def _move_to_end(self, tenant: str) -> None:
        """Put a tenant that was served behind all others."""
        queue = self.queues.pop(tenant)
        if queue:
            self.queues[tenant] = queue

    def _discard(self, tenant: str, waiter: Waiter) -> None:
        queue = self.queues.get(tenant)
        if queue and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self.queues[tenant]
            self._grant()
