"""What a fuzzed picture is given to, and what is expected of it."""

import time
import traceback
from pathlib import Path

from service.contract.problems import Problem, ServiceBusy
from service.contract.settings import Settings
from service.media.images import decode, inspect

SEEDS = Path(__file__).parent / "seeds"
SETTINGS = Settings(storage_url="s3://videos", max_image_pixels=1_000_000, max_image_side=4096)
MAX_SECONDS = 5
"""Of the processor, for a picture of a megapixel at most."""


def seeds() -> list[bytes]:
    """The stored pictures, in the order of their names."""
    return [path.read_bytes() for path in sorted(SEEDS.iterdir())]


def fault_of(data: bytes) -> str | None:
    """What is wrong with the treatment of a picture; None if it is accepted or rejected properly."""
    began = time.thread_time()
    try:
        decode(inspect(data, SETTINGS), SETTINGS)
    except Problem as problem:
        if problem.status >= 500 and not isinstance(problem, ServiceBusy):
            return f"refused with {problem.status}: {problem}"
    except Exception:
        return traceback.format_exc()
    taken = time.thread_time() - began
    return f"it took {taken:.1f} seconds" if taken > MAX_SECONDS else None
