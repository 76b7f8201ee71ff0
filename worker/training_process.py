"""The training process: a child of the worker, which monitors it, stores its files and survives its crashes.

It exits when its standard input closes, which happens when the worker ends in any way. Run as
`python -m worker.training_process FOLDER`, or by accelerate's launcher once per GPU.
"""

import os
import sys
import threading
from pathlib import Path

from worker.startup import gc_paused


def main() -> int:
    """Train in the folder; returns the exit code."""
    threading.Thread(target=exit_with_worker, daemon=True).start()
    # Imported here, because the worker may end while it is being loaded.
    with gc_paused():
        from worker.training_job import train_in
    return train_in(Path(sys.argv[1]))


def exit_with_worker() -> None:
    """Exit immediately when the worker's end of the pipe closes: another worker will resume the job."""
    # Unbuffered, because a waiting thread would hold the buffer's lock, which the interpreter needs at exit.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
