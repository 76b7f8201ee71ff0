"""The workers that live: each says so every few seconds, and is forgotten when it has not for a while."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import redis

from cinemo_spec.strict import StrictModel
from service.store.keys import WORKERS, worker_key, workers_key
from service.store.scripts import RedisScripts, milliseconds


class WorkerSigning(StrictModel):
    """What a worker that is to sign videos says of its key: when it expires, and why it can't sign, if so."""

    required: bool
    expires_at: datetime | None = None
    problem: str | None = None


class Worker(StrictModel):
    """What a worker says of itself."""

    id: str
    queues: tuple[str, ...]
    device: str | None = None
    model: str | None = None
    """The service's own, which it keeps loaded."""
    job: str | None = None
    """Which it runs now."""
    signing: WorkerSigning | None = None
    """None where it makes no videos, or signs none."""
    since: datetime


def signing_of(workers: Sequence[Worker]) -> list[WorkerSigning]:
    """The keys of those that make videos and should sign them."""
    return [each.signing for each in workers if each.signing]


class WorkerRegistry:
    """Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = RedisScripts(client)

    def beat(self, worker: Worker, seconds: float) -> None:
        """Count as alive, and among those that take jobs of its queues, for some seconds."""
        now, lasts = self._redis.now_ms(), milliseconds(seconds)
        told: list[tuple[Any, ...]] = [("SADD", WORKERS, worker.id)]
        told += [("SET", worker_key(worker.id), worker.model_dump_json(), "PX", lasts)]
        for queue in worker.queues:
            told += [("ZREMRANGEBYSCORE", workers_key(queue), "-inf", now)]
            told += [("ZADD", workers_key(queue), now + lasts, worker.id)]
        self._redis.pipeline(told)

    def forget(self, worker: Worker) -> None:
        """Count as gone."""
        gone = [("ZREM", workers_key(queue), worker.id) for queue in worker.queues]
        self._redis.pipeline([("DEL", worker_key(worker.id)), *gone])

    def live(self) -> list[Worker]:
        """All that have been heard of lately."""
        ids = sorted(each.decode() for each in self._redis.call("smembers", WORKERS))
        told = self._redis.call("mget", [worker_key(each) for each in ids]) if ids else []
        gone = [each for each, text in zip(ids, told, strict=True) if text is None]
        if gone:
            self._redis.call("srem", WORKERS, *gone)
        return [Worker.model_validate_json(text, extra="ignore") for text in told if text is not None]
