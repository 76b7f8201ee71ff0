"""How many calls of a tenant wait for jobs at this process: event streams and long polls, which stay open for long."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.contract.problems import WaitingLimited


@dataclass
class Waiting:
    """Used by the thread of the event loop alone."""

    most_of_tenant: int
    _open: Counter[str] = field(default_factory=Counter)

    def enter(self, tenant: str) -> None:
        """Take a place, which `leave` gives back.

        Raises:
            WaitingLimited: the tenant has as many as it may.
        """
        if self._open[tenant] >= self.most_of_tenant:
            raise WaitingLimited(f"{self.most_of_tenant} event streams and long polls of a tenant are open at most")
        self._open[tenant] += 1

    def leave(self, tenant: str) -> None:
        """Give a place back."""
        self._open[tenant] -= 1
        if not self._open[tenant]:
            del self._open[tenant]

    @contextmanager
    def place(self, tenant: str) -> Iterator[None]:
        """A place for as long as something is waited for; raises as `enter`."""
        self.enter(tenant)
        try:
            yield
        finally:
            self.leave(tenant)


class Stream(StreamingResponse):
    """An answer whose body is waited for; gives its tenant's place back once it is over, however that comes."""

    def __init__(self, content: AsyncIterator[bytes], leave: Callable[[], None], *options: Any, **more: Any) -> None:
        super().__init__(content, *options, **more)
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()
