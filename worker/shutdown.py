"""Whether this process was asked to go. Written by a signal handler, so it takes no locks; the work polls it."""

import time
from dataclasses import dataclass


@dataclass
class Shutdown:
    """What the signals said so far."""

    signals: int = 0
    asked_at: float | None = None

    def note(self) -> None:
        """A signal came."""
        self.asked_at = self.asked_at or time.monotonic()
        self.signals += 1

    @property
    def asked(self) -> bool:
        """The running job may end, and no other begins."""
        return self.signals > 0

    @property
    def at_once(self) -> bool:
        """Asked twice: there is no time for the running job."""
        return self.signals > 1

    def seconds_since(self) -> float:
        """Since the first signal; 0 where none came."""
        return time.monotonic() - self.asked_at if self.asked_at else 0.0


shutdown = Shutdown()
