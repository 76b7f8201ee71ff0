"""Hints to the workers that a job waits: a Celery message that carries the job's id and nothing else."""

from celery import Celery
from kombu.exceptions import OperationalError

from service.errors import QueueUnavailable

ANIMATE = "animate"


class JobQueue:
    """Sends messages by task name, so that the front never imports the workers."""

    def __init__(self, redis_url: str) -> None:
        self._celery = Celery(broker=redis_url, set_as_current=False)
        self._celery.conf.broker_transport_options = {"socket_connect_timeout": 2, "max_retries": 1}

    def enqueue(self, job_id: str) -> None:
        """Tell the workers of a job.

        Raises:
            QueueUnavailable: the broker cannot be reached.
        """
        try:
            self._celery.send_task(ANIMATE, args=[job_id], queue=ANIMATE, ignore_result=True, retry=False)
        except OperationalError as error:
            raise QueueUnavailable(f"the broker does not answer: {error}") from error
