"""A circuit breaker: after several failures in a row, calls fail for a while without being made."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class BreakerOpen(Exception):
    """The call was not made, as earlier ones have failed."""


class CircuitBreaker:
    """Opens after `failures` in a row; after `seconds`, one call at a time probes whether it may close. Thread-safe."""

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._seconds, self._clock = failures, seconds, clock
        self._lock = threading.Lock()
        self._failures = 0
        self._probe_at = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around a call, which has failed if it raises.

        Raises:
            BreakerOpen: the breaker is open, and it is not yet time for the next probe.
        """
        self._enter()
        try:
            yield
        except Exception:
            self._record_failure()
            raise
        with self._lock:
            self._failures = 0

    def _enter(self) -> None:
        with self._lock:
            if self._failures < self._limit:
                return
            if self._clock() < self._probe_at:
                raise BreakerOpen("the last calls have failed")
            # The others wait for the outcome of this probe.
            self._probe_at = self._clock() + self._seconds

    def _record_failure(self) -> None:
        with self._lock:
            self._failures += 1
            self._probe_at = self._clock() + self._seconds
