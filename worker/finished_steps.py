"""Counts the steps that a device has finished: a GPU runs behind the loop that feeds it."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import torch


class Event(Protocol):
    """A CUDA event, recorded in the device's queue."""

    def query(self) -> bool: ...

    def synchronize(self) -> None: ...


class FinishedSteps:
    """Call it after each step; on a CPU, every step that returns is finished."""

    def __init__(self, device: torch.device, steps: int, record: Callable[[], Event] | None = None) -> None:
        self._steps, self._record = steps, record or (record_event if device.type == "cuda" else None)
        self._pending: deque[Event] = deque()
        self._finished = 0

    def count(self, done: int) -> int:
        """Return how many of `done` steps are finished; waits only for the last step, which no later call counts."""
        if self._record is None:
            return done
        event = self._record()
        self._pending.append(event)
        if done == self._steps:
            event.synchronize()
        while self._pending and self._pending[0].query():
            self._pending.popleft()
            self._finished += 1
        return self._finished


def record_event() -> Event:
    """Record an event behind all work that the device has been given so far."""
    event = torch.cuda.Event()
    event.record()
    return event
