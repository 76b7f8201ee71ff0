"""Retries with less memory, and measures the memory that the process uses."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog
import torch

from cinemo_core import OutOfMemory

T = TypeVar("T")
log = structlog.get_logger()

DECODE_CHUNK_FRAMES = 16


def retry_with_less_memory(run: Callable[[int], T], unload: Callable[[], None]) -> T:
    """Call `run` with a number of frames to decode at once; if out of memory, call `unload` and retry with one frame.

    Raises:
        OutOfMemory: the retry ran out of memory, too.
    """
    try:
        return run(DECODE_CHUNK_FRAMES)
    except OutOfMemory as error:
        log.warning("out of memory, retrying with less", error=repr(error.__cause__))
    # Outside the handler, where the error no longer holds the memory of its frames.
    unload()
    return run(1)


def free_device() -> None:
    """Free cached device memory that no tensor uses."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def resident_bytes() -> int:
    """Resident memory of this process."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    # Other systems report only the peak.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
