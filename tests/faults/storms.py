"""Injects faults at a steady pace, from a thread, until the jobs are done."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def every(seconds: float, strike: Callable[[], None], most: int | None = None) -> Iterator[list[int]]:
    """Inject a fault repeatedly until the context exits, or so often; yields a list that grows each time.

    Raises:
        Exception: what a strike raised.
    """
    stopped, strikes, raised = threading.Event(), list[int](), list[Exception]()

    def storm() -> None:
        while (most is None or len(strikes) < most) and not stopped.wait(seconds):
            try:
                strike()
            except Exception as error:
                raised.append(error)
                return
            strikes.append(len(strikes))

    thread = threading.Thread(target=storm, daemon=True)
    thread.start()
    try:
        yield strikes
    finally:
        stopped.set()
        thread.join()
    if raised:
        raise raised[0]
