"""A worker process of a test's own."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.forked import Process
from tests.processes import PYTHON

EMPTY: Mapping[str, str] = MappingProxyType({})


@contextmanager
def worker(
    folder: Path, redis_port: int, variables: Mapping[str, str] = EMPTY, **settings: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker with environment variables and settings, named without their prefix, of its own.

    It is killed at the end if it is still running.
    """
    environment = {
        **os.environ,
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_STORAGE_URL": f"file://{folder / 'storage'}",
        "CINEMO_URL_SIGNING_KEY": "for tests alone",
        "CINEMO_WORK_FOLDER": str(folder / "work"),
        **variables,
        **{f"CINEMO_{name.upper()}": value for name, value in settings.items()},
    }
    with (folder / "worker.log").open("ab") as log:
        process = Process([PYTHON, "-m", "worker"], env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
