"""Who is connected to a process: so many at most, of which those that make others wait go first.

Knows connections by what they do alone, neither bytes nor requests.
"""

import resource
from dataclasses import dataclass, field
from typing import Protocol

SPARE = 32
"""Beyond the limit so many more are let in, as whoever asks whether the process is well must always be heard."""
STRANGERS_SHARE = 4
"""Of all places, one in so many is left to connections that have never sent a whole request."""


class Member(Protocol):
    def leave(self) -> None:
        """Hang up, as another needs the place."""
        ...


@dataclass
class Crowd:
    """The connections of a process, used by the thread of its event loop alone.

    Each stands in one place: it is a stranger until its first request has come whole, then it is busy while it is
    answered, stalled while it takes nothing of an answer, and idle in between. Where there are too many, the stranger
    or idle one that has kept everybody waiting for longest goes, else one that is stalled; who is busy stays.
    """

    most: int
    strangers: dict[Member, None] = field(default_factory=dict)
    idle: dict[Member, None] = field(default_factory=dict)
    stalled: dict[Member, None] = field(default_factory=dict)
    busy: dict[Member, None] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self._places()))

    @property
    def full(self) -> bool:
        """Whether there are more than may be served, but for those who ask whether the process is well."""
        return len(self) > self.most

    def enter(self, member: Member) -> bool:
        """Take in a new connection, if need be in the place of another; False where there is no place at all."""
        if len(self) >= self.most:
            self._make_room()
        if len(self) >= self.most + SPARE:
            return False
        self.strangers[member] = None
        return True

    def move(self, member: Member, place: dict[Member, None]) -> None:
        """Have a connection stand in another place, as the last that came there."""
        if self.remove(member):
            place[member] = None

    def remove(self, member: Member) -> bool:
        """Forget a connection; False where it is not known, as it has left already."""
        return any(place.pop(member, member) is None for place in self._places())

    def _make_room(self) -> None:
        crowded = len(self.strangers) > self.most // STRANGERS_SHARE
        order = (self.strangers, self.idle) if crowded else (self.idle, self.strangers)
        for place in (*order, self.stalled):
            if place:
                member = next(iter(place))
                self.remove(member)
                member.leave()
                return

    def _places(self) -> tuple[dict[Member, None], ...]:
        return self.strangers, self.idle, self.stalled, self.busy


def open_crowd(most: int) -> Crowd:
    """A crowd of as many as are allowed, and as the system's limit of descriptors leaves room for beside our own use.

    Raises that limit to what this process may have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * (most + SPARE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    possible = most if soft == resource.RLIM_INFINITY else soft // 2 - SPARE
    return Crowd(max(1, min(most, possible)))
