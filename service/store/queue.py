"""Hints to the workers that a job waits: a Celery message that carries the job's id and nothing else."""

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
"""The queue of each kind of job, which is also its task's name; training never stands in animation's way."""
SENDERS = "webhooks"
"""What senders of webhooks call the queue that they read in Redis themselves."""


class JobQueue:
    """Sends messages by task name, so that the front never imports the workers."""

    def __init__(self, broker_url: str, seconds: float | None = None) -> None:
        """`seconds` for which a silent broker is waited for, where it is not for as long as workers do."""
        # The transport asks six times before it gives up.
        link = broker(broker_url, seconds / 8, seconds / 8) if seconds else broker(broker_url)
        self._celery = Celery(broker=link.url, set_as_current=False)
        self._celery.conf.broker_use_ssl = link.tls
        self._celery.conf.broker_transport_options = {**link.options, "max_retries": 1}
        self._circuit = Circuit()

    def enqueue(self, job_id: str, kind: JobKind = "animate") -> None:
        """Tell the workers of a job.

        Raises:
            QueueUnavailable: the broker cannot be reached.
        """
        queue = QUEUES[kind]
        with self._asking():
            self._celery.send_task(queue, args=[job_id], queue=queue, ignore_result=True, retry=False)

    def check(self) -> None:
        """Raise `QueueUnavailable` where the broker does not answer on the link that tells the workers."""
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
