"""How many bytes of bodies a process holds at a time: what comes beyond is sent away, so that its memory is bounded."""

from dataclasses import dataclass


@dataclass
class Room:
    """Room for so many bytes of all requests together. It is used by the thread of the event loop alone."""

    bytes: int
    taken: int = 0


@dataclass
class Place:
    """What one request takes of the room."""

    room: Room
    taken: int = 0

    def take(self, size: int) -> bool:
        """Take so many bytes, if they are there; a request that is alone gets them however many they are."""
        if self.room.taken and self.room.taken + size > self.room.bytes:
            return False
        self.room.taken += size
        self.taken += size
        return True

    def leave(self) -> None:
        """Give the place back, where that has not been done: the body is held no more."""
        self.room.taken -= self.taken
        self.taken = 0
