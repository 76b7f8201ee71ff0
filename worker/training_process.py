"""The process that trains: a child of the worker, which watches it, stores what it leaves and outlives its crashes.

It ends when its standard input does, which is when the worker is gone, in whatever it is. Run as
`python -m worker.training_process FOLDER`, or by accelerate's launcher once for each GPU.
"""

import os
import sys
import threading
from pathlib import Path

from worker.startup import uncollected


def main() -> int:
    """Train in the folder; returns the exit code."""
    threading.Thread(target=die_with_the_worker, daemon=True).start()
    # Not at the top: the worker may be gone before all of it is loaded.
    with uncollected():
        from worker.training_job import train_in
    return train_in(Path(sys.argv[1]))


def die_with_the_worker() -> None:
    """End at once when the worker's end of the pipe is closed: another worker will go on."""
    # Not through a buffer, whose lock a waiting thread would keep from the interpreter at its end.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
