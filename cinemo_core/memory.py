"""What memory holds: running out of it as an error that says what to lower, and parts that take turns on a GPU.

Knows how PyTorch tells of the first, on GPUs and on CPUs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

from cinemo_core.errors import OutOfMemory

P = ParamSpec("P")
R = TypeVar("R")

# A CPU allocation that fails is a plain RuntimeError; oneDNN has words of its own for it.
CPU_SIGNS = ("can't allocate memory", "could not create a memory", "std::bad_alloc")
ADVICE = (
    "lower width, height, num_frames or decode_chunk_frames, use guidance_scale=1, load the model in torch.bfloat16 "
    "or torch.float16, or call enable_model_cpu_offload()"
)


def tells_out_of_memory(call: Callable[P, R]) -> Callable[P, R]:
    """Let a function raise `OutOfMemory` where PyTorch runs out of it; other errors pass."""

    @wraps(call)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with out_of_memory_told():
            return call(*args, **kwargs)

    return guarded


def telling_out_of_memory(items: Iterator[R]) -> Iterator[R]:
    """The same of what is made while one goes through it."""
    while True:
        with out_of_memory_told():
            item = next(items, None)
        if item is None:
            return
        yield item


@contextmanager
def out_of_memory_told() -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(f"out of memory: {ADVICE}") from error
    except RuntimeError as error:
        if not any(sign in str(error) for sign in CPU_SIGNS):
            raise
        raise OutOfMemory(f"out of memory: {ADVICE}") from error


def ends_turns(call: Callable[P, R]) -> Callable[P, R]:
    """Let a pipeline's method send its offloaded parts away in the end, also where it is stopped."""

    @wraps(call)
    def ended(*args: P.args, **kwargs: P.kwargs) -> R:
        pipe: Any = args[0]
        try:
            return call(*args, **kwargs)
        finally:
            pipe.maybe_free_model_hooks()

    return ended
