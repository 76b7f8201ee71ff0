"""What a worker process does beside its jobs: it reaps while it lives, and knows when it is asked to go."""

import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from service.jobs.retention import Retention
from worker.app import settings
from worker.parts import job_queue, job_store, tidying_store
from worker.reaper import ROUNDS_A_LEASE, Reaper
from worker.run import WORKER
from worker.sweeper import Sweeper

going = threading.Event()
"""Set once the worker was told to stop; long jobs are to be handed back."""


@worker_ready.connect
def start_reaper(**_: Any) -> None:
    """Reap from the moment jobs are taken."""
    shared: dict[str, Any] = {
        "jobs": job_store(),
        "name": WORKER,
        "interval_seconds": settings.lease_seconds / ROUNDS_A_LEASE,
    }
    Reaper(queue=job_queue(), **shared).start()
    Sweeper(retention=Retention(job_store(), tidying_store()), **shared).start()


@worker_shutting_down.connect
def note_shutdown(**_: Any) -> None:
    """Let the running job know."""
    going.set()
