"""Wake-ups for the workers: Celery messages that contain only a job's id."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from service.contract.problems import QueueUnavailable
from service.contract.record import JobKind
from service.store.circuit import Circuit
from service.store.connections import broker

QUEUES: dict[JobKind, str] = {"animate": "animate", "edit": "edit", "train": "train"}
"""The Celery queue of each kind of job, also its task's name; separate, so that training never delays animations."""
SENDERS = "webhooks"
"""Name under which webhook senders register; they read the outbox in Redis themselves."""


class JobQueue:
    """Sends messages by task name, so that the API does not import the workers."""

    def __init__(self, broker_url: str, seconds: float | None = None) -> None:
        """`seconds`: how long to wait for an unresponsive broker; defaults to the workers' timeouts."""
        # The transport tries six times before it gives up.
        link = broker(broker_url, seconds / 8, seconds / 8) if seconds else broker(broker_url)
        self._celery = Celery(broker=link.url, set_as_current=False)
        self._celery.conf.broker_use_ssl = link.tls
        self._celery.conf.broker_transport_options = {**link.options, "max_retries": 1}
        self._circuit = Circuit()

    def enqueue(self, job_id: str, kind: JobKind = "animate") -> None:
        """Notify the workers of a job.

        Raises:
            QueueUnavailable: the broker cannot be reached.
        """
        queue = QUEUES[kind]
        with self._asking():
            self._celery.send_task(queue, args=[job_id], queue=queue, ignore_result=True, retry=False)

    def check(self) -> None:
        """Raise `QueueUnavailable` if the broker does not respond on the connection for notifications."""
        with self._asking(), self._celery.connection_for_write() as connection:
            connection.default_channel.client.ping()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with self._circuit.asking():
                try:
                    yield
                except OperationalError as error:
                    raise redis.TimeoutError(str(error)) from error
        except redis.RedisError as error:
            raise QueueUnavailable(f"the broker does not answer: {error}") from error
