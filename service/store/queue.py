"""Wake-ups for the workers: Celery messages that contain only a job's id.

They are written without Celery, which takes ten times as long to send one.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from service.contract.problems import QueueUnavailable
from service.contract.record import JobKind
from service.contract.redis_urls import parse_broker
from service.store.circuit import Circuit
from service.store.connections import connect, connect_for_requests

QUEUES: dict[JobKind, str] = {"animate": "animate", "edit": "edit", "train": "train"}
"""The Celery queue of each kind of job, also its task's name; separate, so that training never delays animations."""
SENDERS = "webhooks"
"""Name under which webhook senders register; they read the outbox in Redis themselves."""


class JobQueue:
    """Sends messages by task name, so that the API does not import the workers."""

    def __init__(self, broker_url: str, seconds: float | None = None) -> None:
        """`seconds`: how long to wait for an unresponsive broker; defaults to the workers' timeouts.

        Raises:
            ValueError: Celery can't use such a Redis.
        """
        parse_broker(broker_url)
        self._redis = connect_for_requests(broker_url, seconds, Circuit()) if seconds else connect(broker_url)

    def enqueue(self, job_id: str, kind: JobKind = "animate") -> None:
        """Notify the workers of a job.

        Raises:
            QueueUnavailable: the broker cannot be reached.
        """
        queue = QUEUES[kind]
        with broker_errors():
            self._redis.lpush(queue, message(job_id, queue))

    def check(self) -> None:
        """Raise `QueueUnavailable` if the broker does not respond on the connection for notifications."""
        with broker_errors():
            self._redis.ping()


def wake_up(job_id: str, kind: JobKind) -> dict[str, str]:
    """The message for a job, and the list in Redis that Celery's workers read it from."""
    queue = QUEUES[kind]
    return {"queue": queue, "message": message(job_id, queue)}


def message(job_id: str, queue: str) -> str:
    """A task with the queue's name in Celery's message protocol 2, as kombu's transport stores it in Redis."""
    message_id = str(uuid.uuid4())
    return json.dumps(
        {
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"lang": "py", "task": queue, "id": message_id, "root_id": message_id},
            "properties": {
                "correlation_id": message_id,
                "delivery_tag": message_id,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
            },
            "body": json.dumps([[job_id], {}, {}]),
        }
    )


@contextmanager
def broker_errors() -> Iterator[None]:
    """Raise `QueueUnavailable` for errors of Redis within the block."""
    try:
        yield
    except redis.RedisError as error:
        raise QueueUnavailable(f"the broker does not respond: {error}") from error
