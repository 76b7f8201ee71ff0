"""Limits how many event streams and long polls, which stay open for long, each tenant has at this process."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.contract.problems import WaitingLimited


@dataclass
class WaitLimiter:
    """Counts each tenant's open waits. Use it from the event loop's thread only."""

    tenant_limit: int
    _open: Counter[str] = field(default_factory=Counter)

    def acquire(self, tenant: str) -> None:
        """Count one more wait, until `release`.

        Raises:
            WaitingLimited: the tenant has reached its limit.
        """
        if self._open[tenant] >= self.tenant_limit:
            raise WaitingLimited(f"at most {self.tenant_limit} event streams and long polls may be open per tenant")
        self._open[tenant] += 1

    def release(self, tenant: str) -> None:
        """Count a wait as ended."""
        self._open[tenant] -= 1
        if not self._open[tenant]:
            del self._open[tenant]

    @contextmanager
    def slot(self, tenant: str) -> Iterator[None]:
        """Count one more wait within the block; raises like `acquire`."""
        self.acquire(tenant)
        try:
            yield
        finally:
            self.release(tenant)


class LimitedStream(StreamingResponse):
    """A streaming response that calls `release` when it ends, for whatever reason."""

    def __init__(self, content: AsyncIterator[bytes], release: Callable[[], None], *options: Any, **more: Any) -> None:
        super().__init__(content, *options, **more)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()
