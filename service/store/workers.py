"""The registry of live workers: each sends a heartbeat every few seconds, and is dropped when it stops."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import redis

from cinemo_spec.strict import StrictModel
from service.store.keys import WORKERS, worker_key, workers_key
from service.store.scripts import RedisScripts, milliseconds


class WorkerSigning(StrictModel):
    """State of a worker's signing key: when it expires, and why it can't sign, if so."""

    required: bool
    expires_at: datetime | None = None
    problem: str | None = None


class Worker(StrictModel):
    """A worker's heartbeat."""

    id: str
    queues: tuple[str, ...]
    device: str | None = None
    model: str | None = None
    """The service's own model, which the worker keeps loaded."""
    jobs: tuple[str, ...] = ()
    """The jobs in progress: one on the device, and perhaps one whose output is being stored."""
    signing: WorkerSigning | None = None
    """None if it makes no videos or does not sign them."""
    since: datetime


def signing_of(workers: Sequence[Worker]) -> list[WorkerSigning]:
    """The signing keys of all workers that should sign videos."""
    return [each.signing for each in workers if each.signing]


class WorkerRegistry:
    """Every method raises `QueueUnavailable` if Redis does not respond."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = RedisScripts(client)

    def beat(self, worker: Worker, seconds: float) -> None:
        """Register a worker as alive, and as a consumer of its queues, for some seconds."""
        now, lasts = self._redis.now_ms(), milliseconds(seconds)
        commands: list[tuple[Any, ...]] = [("SADD", WORKERS, worker.id)]
        commands += [("SET", worker_key(worker.id), worker.model_dump_json(), "PX", lasts)]
        for queue in worker.queues:
            commands += [("ZREMRANGEBYSCORE", workers_key(queue), "-inf", now)]
            commands += [("ZADD", workers_key(queue), now + lasts, worker.id)]
        self._redis.pipeline(commands)

    def forget(self, worker: Worker) -> None:
        """Unregister a worker."""
        gone = [("ZREM", workers_key(queue), worker.id) for queue in worker.queues]
        self._redis.pipeline([("DEL", worker_key(worker.id)), *gone])

    def live(self) -> list[Worker]:
        """All live workers."""
        ids = sorted(each.decode() for each in self._redis.call("smembers", WORKERS))
        heartbeats = self._redis.call("mget", [worker_key(each) for each in ids]) if ids else []
        gone = [each for each, text in zip(ids, heartbeats, strict=True) if text is None]
        if gone:
            self._redis.call("srem", WORKERS, *gone)
        return [Worker.model_validate_json(text, extra="ignore") for text in heartbeats if text is not None]
