"""Limits the memory for request bodies in a process: bodies beyond the budget are rejected."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class MemoryBudget:
    """Bytes that request bodies may take, in total and per tenant. Use it from the event loop's thread only.

    Attributes:
        limit_bytes: for all tenants together.
        tenant_limit_bytes: for one tenant, so that one that sends slowly doesn't block the others.
    """

    limit_bytes: int
    tenant_limit_bytes: int
    reserved: int = 0
    reserved_by: Counter[str] = field(default_factory=Counter)


@dataclass
class Reservation:
    """What one request has reserved of a budget."""

    budget: MemoryBudget
    reserved: int = 0
    tenant: str = ""

    def reserve(self, size: int, tenant: str = "") -> bool:
        """Reserve bytes if they are available; a request that is alone gets any number."""
        budget, own = self.budget, self.budget.reserved_by.get(tenant, 0)
        if budget.reserved and budget.reserved + size > budget.limit_bytes:
            return False
        if own and own + size > budget.tenant_limit_bytes:
            return False
        budget.reserved += size
        budget.reserved_by[tenant] += size
        self.reserved += size
        self.tenant = tenant
        return True

    def release(self) -> None:
        """Return what is still reserved; the body is no longer in memory."""
        self.budget.reserved -= self.reserved
        self.budget.reserved_by[self.tenant] -= self.reserved
        if not self.budget.reserved_by[self.tenant]:
            del self.budget.reserved_by[self.tenant]
        self.reserved = 0
