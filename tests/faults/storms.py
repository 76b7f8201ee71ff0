"""Injects faults at a steady pace, from a thread, until the jobs are done."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def every(seconds: float, strike: Callable[[], None], most: int | None = None) -> Iterator[list[int]]:
    """Strike again and again until the context is left, or so often; gives a list that grows with each strike.

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
