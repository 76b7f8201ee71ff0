"""A circuit around Redis for those whom a client waits on: once it has been silent, it is asked by one at a time.

Who asks meanwhile is refused at once, so that a Redis that is stopped, paused or out of reach keeps nobody waiting and
no thread busy.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

PAUSE_SECONDS = 0.25
"""Between two looks at a Redis that was silent."""
SILENCE = (redis.TimeoutError, TimeoutError)


class CircuitOpen(redis.ConnectionError):
    """Redis was not asked, as it has just been silent."""


class Circuit:
    """Closed while Redis answers, whatever it answers; opened by its silence; closed again by an answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._next_look = 0.0
        self._looking = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around each command.

        Raises:
            CircuitOpen: it was silent, and another one looks whether it still is, or has just looked.
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
            # Refused or broken off at once, which holds up nobody, or given up by who asked: it says nothing new.
            self._leave(looks, open_it=self._open)
            raise
        self._leave(looks, open_it=False)

    def _enter(self) -> bool:
        with self._lock:
            if not self._open:
                return False
            if self._looking or time.monotonic() < self._next_look:
                raise CircuitOpen("it was silent a moment ago, and is asked again in a moment")
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
    """Before a class of clients: commands and pipelines go through `circuit`, which is set once the client is made."""

    circuit = Circuit()
    """Of all until then, as a cluster's client asks while it is made."""

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
