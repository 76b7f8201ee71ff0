"""Turns at something that there is little of, shared by tenants: one that asks for much waits behind its own requests.

Knows neither threads nor memory, but a size of what each asks for. Used by the thread of the event loop alone.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from service.contract.problems import ServiceBusy


@dataclass(frozen=True)
class Wish:
    size: int
    granted: asyncio.Future[None]


@dataclass
class Turns:
    """So much for all, of which one tenant has no more than its part; who is alone gets what they ask for.

    Attributes:
        most: for all together.
        of_tenant: for one tenant.
        wait_seconds: longest that a request waits for its turn.
    """

    most: int
    of_tenant: int
    wait_seconds: float
    taken: int = 0
    taken_by: Counter[str] = field(default_factory=Counter)
    waiting: dict[str, deque[Wish]] = field(default_factory=dict)
    """By tenant; the one whose turn is next stands first."""

    @asynccontextmanager
    async def turn(self, tenant: str, size: int = 1) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the end.

        Raises:
            ServiceBusy: it did not come in time.
        """
        wish = Wish(size, asyncio.get_running_loop().create_future())
        self.waiting.setdefault(tenant, deque()).append(wish)
        self._grant()
        try:
            async with asyncio.timeout(self.wait_seconds):
                await wish.granted
        except TimeoutError as error:
            raise ServiceBusy("requests of yours or others' take all there is at the moment; ask again") from error
        finally:
            if not wish.granted.done() or wish.granted.cancelled():
                self._forget(tenant, wish)
        try:
            yield
        finally:
            self.taken -= size
            self.taken_by[tenant] -= size
            if not self.taken_by[tenant]:
                del self.taken_by[tenant]
            self._grant()

    def _grant(self) -> None:
        """Let in whoever fits, tenants in turn; a wish that waits for others to end is not overtaken."""
        for tenant in list(self.waiting):
            while (line := self.waiting.get(tenant)) and self._has_part(tenant, line[0].size):
                if self.taken and self.taken + line[0].size > self.most:
                    return
                wish = line.popleft()
                self._settle(tenant)
                self.taken += wish.size
                self.taken_by[tenant] += wish.size
                wish.granted.set_result(None)

    def _has_part(self, tenant: str, size: int) -> bool:
        taken = self.taken_by.get(tenant, 0)
        return not taken or taken + size <= self.of_tenant

    def _settle(self, tenant: str) -> None:
        """Put a tenant that was let in behind all others."""
        line = self.waiting.pop(tenant)
        if line:
            self.waiting[tenant] = line

    def _forget(self, tenant: str, wish: Wish) -> None:
        line = self.waiting.get(tenant)
        if line and wish in line:
            line.remove(wish)
            if not line:
                del self.waiting[tenant]
            self._grant()
