"""A circuit breaker for Redis: after a timeout, only one caller at a time tries again.

All others fail immediately, so that a Redis that is stopped, paused or unreachable blocks neither clients nor threads.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

PAUSE_SECONDS = 0.25
"""Time between two attempts at an unresponsive Redis."""
SILENCE = (redis.TimeoutError, TimeoutError)


class CircuitOpen(redis.ConnectionError):
    """Redis was not asked, because it has just timed out."""


class Circuit:
    """Closed while Redis responds, even with errors; opened by a timeout; closed again by a response."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._next_look = 0.0
        self._looking = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Wrap a command.

        Raises:
            CircuitOpen: Redis has timed out, and another caller is trying again or has just done so.
        """
        looks = self._enter()
        try:
            yield
        except SILENCE:
            self._leave(looks, open_it=True)
            raise
        except redis.ResponseError:
            self._leave(looks, open_it=False)
            raise
        except BaseException:
            # Refused or interrupted immediately, or given up by the caller: this says nothing about timeouts.
            self._leave(looks, open_it=self._open)
            raise
        self._leave(looks, open_it=False)

    def _enter(self) -> bool:
        with self._lock:
            if not self._open:
                return False
            if self._looking or time.monotonic() < self._next_look:
                raise CircuitOpen("it has just timed out and will be tried again in a moment")
            self._looking = True
            return True

    def _leave(self, looks: bool, open_it: bool) -> None:
        with self._lock:
            if looks:
                self._looking = False
            self._open = open_it
            if open_it:
                self._next_look = time.monotonic() + PAUSE_SECONDS


class Guard:
    """A mixin for clients: commands and pipelines go through `circuit`, which is set after construction."""

    circuit = Circuit()
    """Used until then, as a cluster's client sends commands during construction."""

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        client: Any = super()
        with self.circuit.asking():
            return client.execute_command(*arguments, **options)

    def pipeline(self, *arguments: Any, **options: Any) -> Any:
        client: Any = super()
        made = client.pipeline(*arguments, **options)
        execute = made.execute

        def guarded(*given: Any, **also: Any) -> Any:
            with self.circuit.asking():
                return execute(*given, **also)

        made.execute = guarded
        return made
