"""What a worker does where memory runs out, and how much of it the process holds."""

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

FRAMES_AT_ONCE = 16


def retry_with_less_memory(run: Callable[[int], T], let_go: Callable[[], None]) -> T:
    """Run something that is given how many frames to decode at once; where memory runs out, once more with one.

    Before that, what else is in memory is let go.

    Raises:
        OutOfMemory: that was not enough either.
    """
    try:
        return run(FRAMES_AT_ONCE)
    except OutOfMemory as error:
        log.warning("out of memory, once more with less", error=repr(error.__cause__))
    # Not above, where the error still holds what its calls had allocated.
    let_go()
    return run(1)


def free_device() -> None:
    """Give back what no tensor uses any more."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    # Elsewhere what is known is the most that it ever was.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
