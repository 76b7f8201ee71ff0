"""The workers' Celery app; each setting states its reason."""

import json
import os
from datetime import UTC, datetime
from typing import Any

import celery.apps.worker
from celery import Celery
from celery.signals import setup_logging

from service.contract.environment import require_settings
from service.observability.logs import configure_logs
from service.store.connections import broker
from service.store.queue import QUEUES

settings = require_settings()
configure_logs(settings.log_level, settings.log_format)

link = broker(settings.broker)
app = Celery("cinemo", broker=link.url)
app.conf.update(
    # The job record in Redis is the single source of truth; a second copy of the result could only contradict it.
    result_backend=None,
    task_ignore_result=True,
    # One job at a time on the device, in the process that holds the weights: the model uses the whole device, and CUDA
    # does not survive a fork. Jobs run on threads of our own (worker/job_threads.py), so that one can store its video
    # during the next one's steps. This pool can't respond during a task or end one from outside, so Celery's `revoke`
    # and time limits have no effect: other threads renew leases and cancel, time out and release jobs
    # (worker/lease.py, worker/watchdog.py).
    worker_pool="solo",
    worker_concurrency=1,
    # Leave waiting messages to other workers.
    worker_prefetch_multiplier=1,
    # Acknowledge a message when its job has ended or left the device; if it is delivered twice, the job has been
    # dequeued already.
    task_acks_late=True,
    task_default_queue=QUEUES["animate"],
    # On shutdown, Celery waits for the running job, which observes the grace period itself, since only it can release
    # itself. A soft shutdown has nothing to do and would only start a cold one.
    worker_soft_shutdown_timeout=0,
    broker_use_ssl=link.tls,
    broker_transport_options={
        **link.options,
        # Messages are only wake-ups: if a worker dies, the reaper sends a new one within seconds. A message that is
        # redelivered after this time, because its job is still running, is dropped.
        "visibility_timeout": 6 * 3600,
    },
    # Wait for Redis however long it is unavailable, because the process holds a loaded model.
    broker_connection_retry=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Also wait while Redis returns errors, for example when it is full or loading its data.
    broker_channel_error_retry=True,
    # Continue the job if the broker connection breaks: it is held by its record, not by the message.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # Messages carry only a job ID.
    accept_content=["json"],
    task_serializer="json",
    # Nothing receives task events.
    worker_send_task_events=False,
)


@setup_logging.connect
def keep_logs(**_: Any) -> None:
    """Replace Celery's logging configuration, and the handlers of libraries loaded by now."""
    configure_logs(settings.log_level, settings.log_format)


def log_signal(message: str, *_: Any) -> None:
    """Log what Celery prints on a signal, without structlog: a signal handler must not take locks."""
    event = {"event": message, "level": "info", "timestamp": datetime.now(UTC).isoformat()}
    os.write(2, f"{json.dumps(event)}\n".encode())


# Celery has no setting for this.
celery.apps.worker.safe_say = log_signal
