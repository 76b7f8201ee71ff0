"""Ends the process at a deadline, even if no Python code can run: a timer of `faulthandler`, which has only one."""

import faulthandler
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

STDERR = 2
"""Celery replaces `sys.stderr` with an object that has no file descriptor."""

_lock = threading.Lock()
_deadlines: list[float] = []


@contextmanager
def exit_timer(seconds: float) -> Iterator[None]:
    """Exit, with a traceback of all threads, unless the context exits within `seconds`; contexts may overlap."""
    deadline = time.monotonic() + seconds
    with _lock:
        _deadlines.append(deadline)
        arm()
    try:
        yield
    finally:
        with _lock:
            _deadlines.remove(deadline)
            arm()


def arm() -> None:
    """Set the timer to the earliest deadline."""
    earliest = min(_deadlines, default=inf)
    if earliest == inf:
        faulthandler.cancel_dump_traceback_later()
    else:
        # A deadline in the past, of a job that is about to end, leaves it a moment.
        timeout = max(1.0, earliest - time.monotonic())
        faulthandler.dump_traceback_later(timeout, exit=True, file=STDERR)
