"""Counts what each tenant has open at this process: its requests, so that connections are left for others."""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field

from service.contract.problems import RateLimited, TooMany


@dataclass
class TenantLimiter(ABC):
    """A limit on each tenant. Use it from the event loop's thread only."""

    tenant_limit: int
    _open: Counter[str] = field(default_factory=Counter)

    @abstractmethod
    def problem(self) -> TooMany:
        """What a tenant at its limit is told."""

    def acquire(self, tenant: str) -> None:
        """Count one more, until `release`; raises `problem` if the tenant has reached its limit."""
        if self._open[tenant] >= self.tenant_limit:
            raise self.problem()
        self._open[tenant] += 1

    def release(self, tenant: str) -> None:
        """Count one as ended."""
        self._open[tenant] -= 1
        if not self._open[tenant]:
            del self._open[tenant]


class RequestLimiter(TenantLimiter):
    """Limits the requests that each tenant has in progress, whatever they wait for: a body, a thread, a job."""

    @classmethod
    def leaving_half(cls, max_connections: int) -> "RequestLimiter":
        """Let each tenant have half of the process's connections."""
        return cls(max(1, max_connections // 2))

    def problem(self) -> TooMany:
        return RateLimited(f"at most {self.tenant_limit} requests per tenant may be in progress", retry_after=1)
