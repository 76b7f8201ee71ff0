"""Limits the number of a process's connections and closes those that keep the server waiting when there are too many.

Knows only the connections' states, neither bytes nor requests.
"""

import resource
from dataclasses import dataclass, field
from typing import Protocol

PROBE_RESERVE = 32
"""Connections accepted beyond the limit, so that health checks always get through."""
NEW_SHARE = 4
"""One in this many connections is reserved for new ones, which have never sent a complete request."""


class Connection(Protocol):
    def evict(self) -> None:
        """Close, to make way for another connection."""
        ...


@dataclass
class Connections:
    """The connections of a process, for use in the thread of its event loop only.

    Each is in one state: new until its first request is complete, then busy while that is answered, stalled while the
    client does not read the answer, and idle in between. When there are too many, the new or idle connection that has
    waited longest is closed, or else a stalled one; busy ones stay.

    Attributes:
        limit: on their number.
        unread_limit_bytes: on what stalled ones keep in memory together; above it, the one stalled longest is closed.
    """

    limit: int
    unread_limit_bytes: int
    new: dict[Connection, None] = field(default_factory=dict)
    idle: dict[Connection, None] = field(default_factory=dict)
    stalled: dict[Connection, None] = field(default_factory=dict)
    busy: dict[Connection, None] = field(default_factory=dict)
    unread: dict[Connection, int] = field(default_factory=dict)
    """Bytes that each stalled one keeps in memory."""
    unread_bytes: int = 0

    def __len__(self) -> int:
        return sum(map(len, self._states()))

    @property
    def full(self) -> bool:
        """Whether the limit is exceeded, so that only health checks are answered."""
        return len(self) > self.limit

    def add(self, connection: Connection) -> bool:
        """Add a new connection, closing another if needed; False if none can be closed and the reserve is used up."""
        if len(self) >= self.limit:
            self._evict_one()
        if len(self) >= self.limit + PROBE_RESERVE:
            return False
        self.new[connection] = None
        return True

    def move(self, connection: Connection, state: dict[Connection, None]) -> None:
        """Move a connection to the end of another state, unless it has been removed."""
        if self.remove(connection):
            state[connection] = None

    def stall(self, connection: Connection, unread_bytes: int) -> None:
        """Note that a client does not read its answer, of which so much is in memory; one alone may keep any amount."""
        self.move(connection, self.stalled)
        if connection in self.stalled:
            self.unread[connection] = unread_bytes
            self.unread_bytes += unread_bytes
        while self.unread_bytes > self.unread_limit_bytes and len(self.stalled) > 1:
            self._evict(next(iter(self.stalled)))

    def remove(self, connection: Connection) -> bool:
        """Remove a connection; False if it has been removed already."""
        self.unread_bytes -= self.unread.pop(connection, 0)
        return any(state.pop(connection, connection) is None for state in self._states())

    def _evict_one(self) -> None:
        many_new = len(self.new) > self.limit // NEW_SHARE
        order = (self.new, self.idle) if many_new else (self.idle, self.new)
        for state in (*order, self.stalled):
            if state:
                self._evict(next(iter(state)))
                return

    def _evict(self, connection: Connection) -> None:
        self.remove(connection)
        connection.evict()

    def _states(self) -> tuple[dict[Connection, None], ...]:
        return self.new, self.idle, self.stalled, self.busy


def limit_connections(limit: int, unread_limit_bytes: int) -> Connections:
    """Connections up to `limit`, or fewer if the system allows too few file descriptors for them and our own files.

    Raises this process's soft limit on file descriptors as far as needed and allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * (limit + PROBE_RESERVE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    possible = limit if soft == resource.RLIM_INFINITY else soft // 2 - PROBE_RESERVE
    return Connections(max(1, min(limit, possible)), unread_limit_bytes)
