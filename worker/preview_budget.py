"""Decides whether a clip can afford another preview: all of them take a small share of the time of its steps."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MAX_SHARE = 0.02
FIRST_SECONDS = 0.01
"""What the first is taken to need: the built-in model's take 7 ms on a core. The others are taken to need what the last
one did."""


class PreviewBudget:
    """Call `allows` after each step of a clip, and `spend` around each preview."""

    def __init__(self, steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._steps, self._clock = steps, clock
        self._first: tuple[int, float] | None = None
        self._spent, self._needed = 0.0, FIRST_SECONDS

    def allows(self, done: int) -> bool:
        """Whether there is time for a preview after `done` steps; never after the first, which nothing is known of."""
        now = self._clock() - self._spent
        if self._first is None:
            self._first = done, now
            return False
        first, began = self._first
        whole = (now - began) / (done - first) * self._steps
        return self._spent + self._needed <= MAX_SHARE * whole

    @contextmanager
    def spend(self) -> Iterator[None]:
        """Around a preview, which begins once the device has finished its steps."""
        began = self._clock()
        yield
        self._needed = self._clock() - began
        self._spent += self._needed
