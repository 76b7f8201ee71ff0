"""What a worker process does beside its jobs: it reaps while it lives, and knows when it is asked to go."""

import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from worker.app import settings
from worker.parts import job_queue, job_store
from worker.reaper import ROUNDS_A_LEASE, Reaper
from worker.run import WORKER

going = threading.Event()
"""Set once the worker was told to stop; long jobs are to be handed back."""


@worker_ready.connect
def start_reaper(**_: Any) -> None:
    """Reap from the moment jobs are taken."""
    Reaper(job_store(), job_queue(), WORKER, settings.lease_seconds / ROUNDS_A_LEASE).start()


@worker_shutting_down.connect
def note_shutdown(**_: Any) -> None:
    """Let the running job know."""
    going.set()
