"""Startup of a process that loads the model's libraries."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause garbage collection, then exempt all existing objects from it.

    PyTorch and diffusers create a million permanent objects. Scanning them takes a sixth of the startup time, and would
    later pause jobs.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
