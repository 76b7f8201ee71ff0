"""How a process begins that loads the model's libraries."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for garbage neither while modules are loaded, nor ever again among what they leave.

    PyTorch and diffusers make a million objects that stay: looking through them takes a sixth of the start, and would
    halt a job's steps now and then.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
