"""The Celery app of the workers, each setting with its reason."""

import json
import os
from datetime import UTC, datetime
from typing import Any

import celery.apps.worker
from celery import Celery
from celery.signals import setup_logging

from service.contract.settings import Settings
from service.observability.logs import configure_logs
from service.store.connections import broker
from service.store.queue import QUEUES

settings = Settings()
configure_logs(settings.log_level, settings.log_format)

link = broker(settings.broker)
app = Celery("cinemo", broker=link.url)
app.conf.update(
    # The job record in Redis is the only truth; a second copy of the outcome could only disagree with it.
    result_backend=None,
    task_ignore_result=True,
    # The model takes the whole device: one job at a time, in the process that holds the weights. CUDA does not outlive
    # a fork, and threads would share a device that one job fills. What this pool cannot do, answer while it computes or
    # end a job from outside, is not asked of it: leases are renewed and jobs canceled, timed out and handed back by
    # threads of our own (worker/lease.py, worker/watchdog.py), never by `revoke` or Celery's time limits.
    worker_pool="solo",
    worker_concurrency=1,
    # A waiting message stays with the broker, so that another worker may take it.
    worker_prefetch_multiplier=1,
    # A message is dropped after its job has ended; one that is delivered twice finds the job already taken.
    task_acks_late=True,
    task_default_queue=QUEUES["animate"],
    # Told to go, Celery waits for the job that runs, and the job keeps to the grace period itself, as it alone can hand
    # itself back. So there is nothing for a soft shutdown to do, which would only begin a cold one.
    worker_soft_shutdown_timeout=0,
    broker_use_ssl=link.tls,
    broker_transport_options={
        **link.options,
        # A message is a hint: of a job whose worker died the reaper tells anew, within seconds. What the broker
        # delivers again after this long, since its job still runs, is dropped.
        "visibility_timeout": 6 * 3600,
    },
    # However long Redis is away, it is waited for: the process holds a loaded model.
    broker_connection_retry=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # A Redis that answers with errors, as one does that is full or loads its file, is one that is away.
    broker_channel_error_retry=True,
    # The job goes on when the connection of its message breaks: the record holds it, not the message.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # Messages carry a job id; nothing else is ever decoded.
    accept_content=["json"],
    task_serializer="json",
    # Nobody listens.
    worker_send_task_events=False,
)


@setup_logging.connect
def keep_logs(**_: Any) -> None:
    """Stand in for Celery's own configuration; by now the libraries are loaded that set up handlers of their own."""
    configure_logs(settings.log_level, settings.log_format)


def say(message: str, *_: Any) -> None:
    """What Celery prints when a signal comes, as a line of the log; a handler of signals may take no lock."""
    line = {"event": message, "level": "info", "timestamp": datetime.now(UTC).isoformat()}
    os.write(2, f"{json.dumps(line)}\n".encode())


# It has no setting for this.
celery.apps.worker.safe_say = say
