"""Ends the process if a job is stuck in a call that never returns, so that no exception can be raised in it.

A thread first records the job's outcome, so that it isn't retried forever, releases the process's other job, and exits.
The thread can't run while a call holds the interpreter's lock; for that case a timer outside Python ends the process.
"""

import faulthandler
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import NoReturn

import structlog

from service.observability.logs import log_context
from service.store.worker_jobs import WorkerJobs
from worker.exit_timer import STDERR, Deadline, exit_timer
from worker.health import touch
from worker.lease import Lease, held_leases, log_facts

log = structlog.get_logger()

REPLACE_EXIT_CODE = os.EX_TEMPFAIL
"""Exit code of a worker that needs to be replaced."""

POLL_SECONDS = 0.2
RELEASE_SECONDS = 5.0
"""Time for a job to release itself after the grace period, before the watchdog does."""


@contextmanager
def watch(lease: Lease, jobs: WorkerJobs, stuck_seconds: float) -> Iterator[None]:
    """Watch a job until the context exits; it has `stuck_seconds` after its time limit to end by itself."""
    with exit_timer(lease.deadline + 2 * stuck_seconds) as exit_at:
        # With the log context of the job.
        arguments = (poll, lease, jobs, stuck_seconds, exit_at)
        threading.Thread(target=copy_context().run, args=arguments, name="watchdog", daemon=True).start()
        yield


def poll(lease: Lease, jobs: WorkerJobs, stuck_seconds: float, exit_at: Deadline) -> None:
    """Watch until the work has ended, or end the process."""
    while not lease.ended.wait(POLL_SECONDS):
        exit_at.move(lease.deadline + 2 * stuck_seconds)
        if lease.shutdown.immediate or lease.seconds_over_grace > RELEASE_SECONDS:
            end_process(os.EX_OK, jobs)
        if lease.seconds_over_time > stuck_seconds:
            end_process(REPLACE_EXIT_CODE, jobs, stuck=lease)
        touch()


def end_process(exit_code: int, jobs: WorkerJobs, stuck: Lease | None = None) -> NoReturn:
    """Fail the job that is stuck, release any other, and exit, whatever other threads are doing."""
    faulthandler.dump_traceback(file=STDERR)
    for lease in held_leases():
        job = lease.job
        with log_context(**log_facts(job)):
            try:
                if lease is stuck:
                    log.warning("job stuck", status=jobs.attempts.fail(job, lease.timed_out).status)
                else:
                    log.warning("job released by watchdog", status=jobs.attempts.release(job).status)
            except Exception as error:
                # The lease will lapse.
                log.warning("outcome not recorded by watchdog", error=repr(error))
    os._exit(exit_code)
