"""What a worker process does besides its jobs: start its threads, report that it is alive, shut down."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from celery.worker import state

from service.contract.record import Job
from service.contract.states import JobStatus
from service.store.connections import connect
from service.store.retention import Retention
from service.store.uploads import Uploads
from worker.app import settings
from worker.dependencies import cleanup_store, heartbeat, job_queue, job_store
from worker.health import ALIVE, TOUCH_SECONDS, set_alive_folder, touch
from worker.heartbeat import WORKER
from worker.job_threads import job_threads, pool
from worker.lease import check_lease
from worker.memory import free_device, resident_bytes
from worker.outcome import LeaseLost
from worker.reaper import ROUNDS_PER_LEASE, Reaper
from worker.reporting import retry_redis
from worker.shutdown import shutdown
from worker.sweeper import Sweeper
from worker.watchdog import REPLACE_EXIT_CODE
from worker.workspace import clean, open_workspace

log = structlog.get_logger()

exit_code = 0


def start() -> None:
    """Create the folder for this process's files, in which it reports that it is alive once its model is loaded."""
    if sys.platform != "linux":
        log.warning("decoding videos has no memory limit on this system; see SECURITY.md", system=sys.platform)
    set_alive_folder(open_workspace(Path(settings.work_folder)))


@worker_ready.connect
def start_threads(**_: Any) -> None:
    """Start the reaper and the sweeper when the worker starts taking jobs."""
    shared: dict[str, Any] = {
        "jobs": job_store(),
        "name": WORKER,
        "interval_seconds": settings.lease_seconds / ROUNDS_PER_LEASE,
    }
    Reaper(queue=job_queue(), **shared).start()
    uploads = Uploads(cleanup_store(), connect(settings.redis_url), settings.upload_seconds)
    Sweeper(retention=Retention(job_store().removals, cleanup_store()), uploads=uploads, **shared).start()


@worker_ready.connect
def keep_alive(sender: Any, **_: Any) -> None:
    """Touch the health check's file from the loop that reads messages, so that a hanging loop stops doing so."""
    touch()
    sender.timer.call_repeatedly(TOUCH_SECONDS, touch)


@worker_ready.connect
def stop_in_one_way(**_: Any) -> None:
    """Stop on SIGINT and SIGQUIT as on SIGTERM; Celery would cancel its tasks, which this pool can't, and not wait."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.getsignal(signal.SIGTERM))


@worker_ready.connect
def start_heartbeat(sender: Any, **_: Any) -> None:
    """Register the worker once the model is loaded."""
    heartbeat().start(*sender.app.amqp.queues.consume_from)


@worker_shutdown.connect
def stop_heartbeat(**_: Any) -> None:
    """Wait for the job that is finishing, then unregister the worker."""
    pool().shutdown()
    heartbeat().stop()


@worker_shutting_down.connect
def request_shutdown(**_: Any) -> None:
    """Inform the jobs in progress."""
    shutdown.request()


@worker_shutdown.connect
def keep_exit_code(sender: Any, **_: Any) -> None:
    """Keep the exit code, which Celery's `worker_main` doesn't return."""
    global exit_code
    # A job that was finishing may have asked for a replacement after Celery had read the code.
    exit_code = state.should_stop or sender.exitcode or 0


def leave_device(job: Job, folder: Path) -> None:
    """Let the next job start while this one finishes with its files in `folder`.

    Raises:
        Canceled, LeaseLost, Released, JobFailed: the work must stop, see `Lease.check`.
    """

    # It is recorded before the wait for another job, whose slow storage this one's tenant must not pay for.
    job_threads.leave_device(lambda: record_departure(job), lambda: tidy_up(folder.name))


@contextmanager
def off_device(job: Job) -> Iterator[None]:
    """Don't charge the time within as the attempt's on its device; raises like `leave_device`."""
    record_departure(job)
    yield
    require_still_held(lambda: job_store().attempts.return_to_device(job))


def record_departure(job: Job) -> None:
    require_still_held(lambda: job_store().attempts.leave_device(job))


def require_still_held(report: Callable[[], JobStatus | None]) -> None:
    if retry_redis(report, check_lease) is None:
        raise LeaseLost


def after_job() -> None:
    """Clean up after a job, unless that is left to another one in progress."""
    if not job_threads.other_in_progress():
        tidy_up()


def tidy_up(*keep: str) -> None:
    """Delete all but these temporary files, free the device, and replace this process if it uses too much memory.

    No other job is in progress, so its files are not deleted, and its memory doesn't count.
    """
    clean(ALIVE, *keep)
    free_device()
    limit, size = settings.worker_max_rss_bytes, resident_bytes()
    if limit is not None and size > limit:
        replace_process(f"it uses {size:,} bytes of memory; the limit is {limit:,}")


def replace_process(reason: str) -> None:
    """Take no more messages and exit, so that the supervisor starts a new process."""
    log.warning("worker exits to be replaced", reason=reason)
    state.should_stop = REPLACE_EXIT_CODE
