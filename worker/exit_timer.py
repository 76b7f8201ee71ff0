"""Ends the process at a deadline, even if no Python code can run: a timer of `faulthandler`, which has only one."""

import faulthandler
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

STDERR = 2
"""Celery replaces `sys.stderr` with an object that has no file descriptor."""

_lock = threading.Lock()


@dataclass(eq=False)
class Deadline:
    """The monotonic time at which the process ends."""

    at: float

    def move(self, at: float) -> None:
        """Set another time."""
        if at != self.at:
            with _lock:
                self.at = at
                arm()


_deadlines: list[Deadline] = []


@contextmanager
def exit_timer(at: float) -> Iterator[Deadline]:
    """Exit, with a traceback of all threads, unless the context exits before a monotonic time; contexts may overlap."""
    deadline = Deadline(at)
    with _lock:
        _deadlines.append(deadline)
        arm()
    try:
        yield deadline
    finally:
        with _lock:
            _deadlines.remove(deadline)
            arm()


def arm() -> None:
    """Set the timer to the earliest deadline."""
    earliest = min((each.at for each in _deadlines), default=inf)
    if earliest == inf:
        faulthandler.cancel_dump_traceback_later()
    else:
        # A deadline in the past, of a job that is about to end, leaves it a moment.
        timeout = max(1.0, earliest - time.monotonic())
        faulthandler.dump_traceback_later(timeout, exit=True, file=STDERR)
