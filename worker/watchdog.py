"""Ends the process where its job does not end: stuck in a call that never returns, where nothing can be raised.

A thread does so, first telling what became of the job, so that it is not tried for ever. It cannot run while a call
keeps the interpreter's lock; for that case there is a timer without Python, which only ends the process.
"""

import faulthandler
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import structlog

from service.store.jobs import JobStore
from worker.health import touch
from worker.lease import FOREVER, Lease

log = structlog.get_logger()

REPLACE = os.EX_TEMPFAIL
"""Exit code of a worker that cannot go on, and is to be started again."""

STDERR = 2
"""What Celery puts in its place has no file descriptor."""

ROUND_SECONDS = 0.2
LAST_SECONDS = 5.0
"""What a job gets to hand itself back after the grace period, before it is handed back over its head."""


@contextmanager
def watched(lease: Lease, jobs: JobStore, stuck_seconds: float) -> Iterator[None]:
    """Watch a job until the context is left; it gets `stuck_seconds` to end by itself after its time is over."""
    # What it logs is of the job, too.
    arguments = (watch, lease, jobs, stuck_seconds)
    threading.Thread(target=copy_context().run, args=arguments, name="watchdog", daemon=True).start()
    if lease.limits.timeout_seconds < FOREVER:
        later = lease.limits.timeout_seconds + 2 * stuck_seconds
        faulthandler.dump_traceback_later(later, exit=True, file=STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def watch(lease: Lease, jobs: JobStore, stuck_seconds: float) -> None:
    """Look until the work has ended, or must."""
    while not lease.ended.wait(ROUND_SECONDS):
        if lease.shutdown.at_once or lease.seconds_over_grace > LAST_SECONDS:
            end_process(os.EX_OK, "job handed back", lease, jobs.release, lease.job)
        if lease.seconds_over_time > stuck_seconds:
            end_process(REPLACE, "job stuck", lease, jobs.fail, lease.job, lease.timed_out)
        touch()


def end_process(exit_code: int, event: str, lease: Lease, tell: Any, *arguments: Any) -> None:
    """Tell what becomes of the job; then end, whatever the other threads do."""
    faulthandler.dump_traceback(file=STDERR)
    try:
        status = tell(*arguments).status
        log.warning(event, status=status)
    except Exception as error:
        # The lease lapses by itself, then.
        log.warning(event, error=repr(error))
    os._exit(exit_code)
