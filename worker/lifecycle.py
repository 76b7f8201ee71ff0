"""A worker process from its start to its end, beside its jobs: it says that it lives, and goes when it is to go."""

from pathlib import Path
from typing import Any

import structlog
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from celery.worker import state

from service.store.connections import connect
from service.store.retention import Retention
from service.store.uploads import Uploads
from worker.app import settings
from worker.dependencies import heartbeat, job_queue, job_store, tidying_store
from worker.health import ALIVE, TOUCH_SECONDS, live_in, touch
from worker.heartbeat import WORKER
from worker.memory import free_device, resident_bytes
from worker.reaper import ROUNDS_A_LEASE, Reaper
from worker.shutdown import shutdown
from worker.sweeper import Sweeper
from worker.watchdog import REPLACE
from worker.workspace import clean, open_workspace

log = structlog.get_logger()

exit_code = 0


def begin() -> None:
    """Take a folder for what this process writes, where it also says that it lives, once its model is loaded."""
    live_in(open_workspace(Path(settings.work_folder)))


@worker_ready.connect
def start_threads(**_: Any) -> None:
    """Reap and sweep from the moment jobs are taken."""
    shared: dict[str, Any] = {
        "jobs": job_store(),
        "name": WORKER,
        "interval_seconds": settings.lease_seconds / ROUNDS_A_LEASE,
    }
    Reaper(queue=job_queue(), **shared).start()
    uploads = Uploads(tidying_store(), connect(settings.redis_url), settings.upload_seconds)
    Sweeper(retention=Retention(job_store(), tidying_store()), uploads=uploads, **shared).start()


@worker_ready.connect
def keep_alive(sender: Any, **_: Any) -> None:
    """Say so from the loop that reads messages: a loop that hangs does not."""
    touch()
    sender.timer.call_repeatedly(TOUCH_SECONDS, touch)


@worker_ready.connect
def start_heartbeat(sender: Any, **_: Any) -> None:
    """Count as alive once the model is loaded."""
    heartbeat().start(*sender.app.amqp.queues.consume_from)


@worker_shutdown.connect
def stop_heartbeat(**_: Any) -> None:
    """Count as gone."""
    heartbeat().stop()


@worker_shutting_down.connect
def note_shutdown(**_: Any) -> None:
    """Let the running job know."""
    shutdown.note()


@worker_shutdown.connect
def note_exit(sender: Any, **_: Any) -> None:
    """Celery keeps it to itself."""
    global exit_code
    exit_code = sender.exitcode or 0


def between_jobs() -> None:
    """Clean up after a job, whatever it has left, and see whether this process is still good for another."""
    clean(keep=ALIVE)
    free_device()
    limit, size = settings.worker_max_rss_bytes, resident_bytes()
    if limit is not None and size > limit:
        replace_process(f"it holds {size:,} bytes of memory, and {limit:,} are allowed")


def replace_process(reason: str) -> None:
    """Take no more messages, and exit so that whoever watches this process starts another one."""
    log.warning("worker ends to be replaced", reason=reason)
    state.should_stop = REPLACE
