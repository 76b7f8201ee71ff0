"""Forks the processes of the suite from one that has loaded their libraries: `python -m tests.faults.nursery`.

Loading torch takes longer than a worker lives that is killed every two seconds. What is forked reads its settings and
runs its program as any other process does; only the libraries are there already. It reads a line of JSON for each
process from its input, and writes the id of the process to its output.
"""

import json
import os
import runpy
import signal
import sys
from pathlib import Path

# Loaded for those to come, none of which knows a setting: the front, the model library, and what workers stand on.
import boto3  # noqa: F401
import celery.apps.worker  # noqa: F401
import torch  # noqa: F401

import cinemo_core
import service.api.app  # noqa: F401

# They are loaded when they are first asked for, and load most of what they stand on.
for name in cinemo_core.__all__:
    getattr(cinemo_core, name)


def main() -> None:
    """Fork until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(**json.loads(line))
            return
        print(child, flush=True)


def become(module: str, arguments: list[str], environment: dict[str, str], log: str) -> None:
    """Run a module as `python -m` would, in a session of its own, writing to the end of a log."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(Path(module)), *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
