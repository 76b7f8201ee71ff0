"""Whether this process should shut down. Set by a signal handler, so without locks; polled by the work."""

import time
from dataclasses import dataclass


@dataclass
class Shutdown:
    """The signals received so far."""

    signals: int = 0
    requested_at: float | None = None

    def request(self) -> None:
        """Handle a signal."""
        self.requested_at = self.requested_at or time.monotonic()
        self.signals += 1

    @property
    def requested(self) -> bool:
        """After the first signal: the running job may finish within the grace period, and no other starts."""
        return self.signals > 0

    @property
    def immediate(self) -> bool:
        """After the second signal: the running job is released immediately."""
        return self.signals > 1

    def seconds_since(self) -> float:
        """Seconds since the first signal; 0 if there was none."""
        return time.monotonic() - self.requested_at if self.requested_at else 0.0


shutdown = Shutdown()
