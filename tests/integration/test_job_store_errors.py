"""The job store with a Redis that is down, rejects writes or commands, or loses responses."""

from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.contract.problems import QueueRefused, QueueUnavailable
from service.store.connections import connect
from service.store.keys import LEASES, job_key
from tests.jobs import JobStore, new_job


class Losing(redis.Connection):
    """Loses the first response that names a job."""

    lost = False

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        answer = super().read_response(*arguments, **options)
        if isinstance(answer, bytes) and answer.startswith(b"job_") and not Losing.lost:
            Losing.lost = True
            raise redis.TimeoutError("the answer is lost")
        return answer


def test_a_worker_that_missed_the_response_of_dequeue_gets_the_same_job_again(
    store: JobStore, redis_client: redis.Redis, redis_port: int
) -> None:
    for number in (1, 2):
        store.submissions.create(new_job(f"job_{number}", seconds_ago=9 - number))
    retry = Retry(NoBackoff(), 1)
    pool = redis.ConnectionPool(connection_class=Losing, port=redis_port, retry=retry)
    worker = JobStore(redis.Redis(connection_pool=pool, retry=retry))
    first, second = worker.attempts.dequeue("animate", "worker"), worker.attempts.dequeue("animate", "worker")
    assert Losing.lost
    assert first is not None
    assert second is not None
    assert (first.id, first.attempt, second.id) == ("job_1", 1, "job_2")
    assert redis_client.zcard(LEASES) == 2


def test_a_command_that_redis_rejects_as_wrong_is_not_an_outage(store: JobStore, redis_client: redis.Redis) -> None:
    store.submissions.create(new_job())
    with pytest.raises(QueueRefused, match="stream ID"):
        store.queries.events("job_1", after="soon")
    redis_client.set(job_key("job_2"), "no hash")
    with pytest.raises(QueueRefused, match="WRONGTYPE"):
        store.queries.get("job_2")
    assert QueueRefused.status == 500


@pytest.mark.parametrize(("setting", "value", "usual"), [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")])
def test_a_redis_that_rejects_writes_counts_as_unavailable(
    store: JobStore, redis_client: redis.Redis, setting: str, value: str, usual: str
) -> None:
    redis_client.config_set(setting, value)
    try:
        with pytest.raises(QueueUnavailable) as raised:
            store.submissions.create(new_job())
        assert not isinstance(raised.value, QueueRefused)
    finally:
        redis_client.config_set(setting, usual)


def test_an_unresponsive_redis_is_distinguished() -> None:
    store = JobStore(connect("redis://127.0.0.1:1/0"))
    for ask in (store.check, lambda: store.queries.get("job_1"), lambda: store.submissions.create(new_job())):
        with pytest.raises(QueueUnavailable):
            ask()
