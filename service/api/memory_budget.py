"""How many bytes of bodies a process holds at a time: what comes beyond is sent away, so that its memory is bounded."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class MemoryBudget:
    """Room for so many bytes of all requests together. It is used by the thread of the event loop alone.

    Attributes:
        bytes: for all together.
        of_tenant: for those of one tenant, so that one who sends slowly leaves some to others.
    """

    bytes: int
    of_tenant: int
    taken: int = 0
    taken_by: Counter[str] = field(default_factory=Counter)


@dataclass
class Reservation:
    """What one request takes of the room."""

    room: MemoryBudget
    taken: int = 0
    tenant: str = ""

    def take(self, size: int, tenant: str = "") -> bool:
        """Take so many bytes, if they are there; a request that is alone gets them however many they are."""
        room, own = self.room, self.room.taken_by.get(tenant, 0)
        if (room.taken and room.taken + size > room.bytes) or (own and own + size > room.of_tenant):
            return False
        room.taken += size
        room.taken_by[tenant] += size
        self.taken += size
        self.tenant = tenant
        return True

    def leave(self) -> None:
        """Give the place back, where that has not been done: the body is held no more."""
        self.room.taken -= self.taken
        self.room.taken_by[self.tenant] -= self.taken
        if not self.room.taken_by[self.tenant]:
            del self.room.taken_by[self.tenant]
        self.taken = 0
