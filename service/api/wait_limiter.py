"""Limits how many event streams and long polls, which stay open for long, each tenant has at this process."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.tenant_limiter import TenantLimiter
from service.contract.problems import TooMany, WaitingLimited


class WaitLimiter(TenantLimiter):
    """Limits each tenant's open waits."""

    def problem(self) -> TooMany:
        return WaitingLimited(f"at most {self.tenant_limit} event streams and long polls may be open per tenant")

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
