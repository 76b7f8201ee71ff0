"""Ends the process if its job is stuck in a call that never returns, so that no exception can be raised in it.

A thread first records the job's outcome, so that it isn't retried forever, and then exits. The thread can't run while a
call holds the interpreter's lock; for that case a timer outside Python ends the process.
"""

import faulthandler
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import structlog

from service.store.worker_jobs import WorkerJobs
from worker.health import touch
from worker.lease import FOREVER, Lease

log = structlog.get_logger()

REPLACE_EXIT_CODE = os.EX_TEMPFAIL
"""Exit code of a worker that needs to be replaced."""

STDERR = 2
"""Celery replaces `sys.stderr` with an object that has no file descriptor."""

POLL_SECONDS = 0.2
RELEASE_SECONDS = 5.0
"""Time for a job to release itself after the grace period, before the watchdog does."""


@contextmanager
def watch(lease: Lease, jobs: WorkerJobs, stuck_seconds: float) -> Iterator[None]:
    """Watch a job until the context exits; it has `stuck_seconds` after its time limit to end by itself."""
    # With the log context of the job.
    arguments = (poll, lease, jobs, stuck_seconds)
    threading.Thread(target=copy_context().run, args=arguments, name="watchdog", daemon=True).start()
    if lease.limits.timeout_seconds < FOREVER:
        timeout = lease.limits.timeout_seconds + 2 * stuck_seconds
        faulthandler.dump_traceback_later(timeout, exit=True, file=STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def poll(lease: Lease, jobs: WorkerJobs, stuck_seconds: float) -> None:
    """Watch until the work has ended, or end the process."""
    while not lease.ended.wait(POLL_SECONDS):
        if lease.shutdown.immediate or lease.seconds_over_grace > RELEASE_SECONDS:
            end_process(os.EX_OK, "job released by watchdog", jobs.attempts.release, lease.job)
        if lease.seconds_over_time > stuck_seconds:
            end_process(REPLACE_EXIT_CODE, "job stuck", jobs.attempts.fail, lease.job, lease.timed_out)
        touch()


def end_process(exit_code: int, event: str, record: Any, *arguments: Any) -> None:
    """Record the job's outcome, then exit, whatever other threads are doing."""
    faulthandler.dump_traceback(file=STDERR)
    try:
        status = record(*arguments).status
        log.warning(event, status=status)
    except Exception as error:
        # The lease will lapse.
        log.warning(event, error=repr(error))
    os._exit(exit_code)
