"""Turns PyTorch's out-of-memory conditions, on GPU and CPU, into one typed error, and ends a call's offloading."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

from cinemo_spec.errors import OutOfMemory

P = ParamSpec("P")
R = TypeVar("R")

# A failed CPU allocation is a plain RuntimeError; oneDNN has messages of its own for it.
CPU_SIGNS = ("can't allocate memory", "could not create a memory", "std::bad_alloc")
ADVICE = (
    "lower width, height, num_frames or decode_chunk_frames, use guidance_scale=1, load the model in torch.bfloat16 "
    "or torch.float16, or call enable_model_cpu_offload()"
)


def raises_out_of_memory(call: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to raise `OutOfMemory` if PyTorch runs out of memory; other errors pass."""

    @wraps(call)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with out_of_memory_errors():
            return call(*args, **kwargs)

    return guarded


def guarded_iterator(items: Iterator[R]) -> Iterator[R]:
    """Wrap an iterator to raise `OutOfMemory` if PyTorch runs out of memory while it produces an item."""
    while True:
        with out_of_memory_errors():
            item = next(items, None)
        if item is None:
            return
        yield item


@contextmanager
def out_of_memory_errors() -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(f"out of memory: {ADVICE}") from error
    except RuntimeError as error:
        if not any(sign in str(error) for sign in CPU_SIGNS):
            raise
        raise OutOfMemory(f"out of memory: {ADVICE}") from error


def frees_model_hooks(call: Callable[P, R]) -> Callable[P, R]:
    """Decorate a pipeline's method to offload all parts when it ends, even by an exception."""

    @wraps(call)
    def ended(*args: P.args, **kwargs: P.kwargs) -> R:
        pipe: Any = args[0]
        try:
            return call(*args, **kwargs)
        finally:
            pipe.maybe_free_model_hooks()

    return ended
