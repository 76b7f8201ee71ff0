"""A circuit breaker for Redis: after a timeout, only one caller at a time probes whether it responds again.

All others fail immediately, so that a Redis that is stopped, paused or unreachable blocks neither clients nor threads.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

PROBE_SECONDS = 0.25
"""Pause between two probes of an unresponsive Redis."""
TIMEOUTS = (redis.TimeoutError, TimeoutError)


class CircuitOpen(redis.ConnectionError):
    """The command was not sent, because Redis has just timed out."""


class Circuit:
    """Closed while Redis responds, even with errors; a timeout opens it, and the next response closes it again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._probing = False
        self._probe_at = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Wrap a command.

        Raises:
            CircuitOpen: Redis has timed out, and another caller is probing it or has just done so.
        """
        is_probe = self._enter()
        try:
            yield
        except TIMEOUTS:
            self._leave(is_probe, is_open=True)
            raise
        except redis.ResponseError:
            self._leave(is_probe, is_open=False)
            raise
        except BaseException:
            # The connection was refused or the caller gave up, neither of which says anything about timeouts.
            self._leave(is_probe, is_open=self._open)
            raise
        self._leave(is_probe, is_open=False)

    def _enter(self) -> bool:
        """Return whether the command is a probe; raises `CircuitOpen`."""
        with self._lock:
            if not self._open:
                return False
            if self._probing or time.monotonic() < self._probe_at:
                raise CircuitOpen("it has just timed out and will be tried again in a moment")
            self._probing = True
            return True

    def _leave(self, is_probe: bool, is_open: bool) -> None:
        with self._lock:
            if is_probe:
                self._probing = False
            self._open = is_open
            if is_open:
                self._probe_at = time.monotonic() + PROBE_SECONDS


class CircuitMixin:
    """Sends a client's commands and pipelines through `circuit`, which is set after construction."""

    circuit = Circuit()
    """Used until then, as a cluster's client sends commands during construction."""

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        client: Any = super()
        with self.circuit.call():
            return client.execute_command(*arguments, **options)

    def pipeline(self, *arguments: Any, **options: Any) -> Any:
        client: Any = super()
        pipeline = client.pipeline(*arguments, **options)
        execute = pipeline.execute

        def execute_through_circuit(*arguments: Any, **options: Any) -> Any:
            with self.circuit.call():
                return execute(*arguments, **options)

        pipeline.execute = execute_through_circuit
        return pipeline
