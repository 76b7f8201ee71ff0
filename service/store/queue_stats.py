"""Current figures of jobs, workers and webhooks, for metrics."""

from collections import Counter
from dataclasses import dataclass

import redis

from service.contract.problems import QueueUnavailable
from service.contract.record import JobKind, job_created_at
from service.store.connections import section
from service.store.keys import LEASES, REAPER_ROUND, REMOVALS, WEBHOOK_NAMES, job_key, queue_prefix, tenants_key
from service.store.scripts import RedisScripts


@dataclass(frozen=True)
class Waiting:
    """Queued jobs of a kind: their number, and the longest wait among the first of each tenant."""

    jobs: int
    oldest_seconds: float


@dataclass(frozen=True)
class Running:
    """Jobs that workers hold, by kind: how many, and how many of them have left their device and are finishing."""

    jobs: Counter[str]
    finishing: Counter[str]


@dataclass(frozen=True)
class Memory:
    """Redis' memory in bytes, used and allowed; 0 if it has no limit. In a cluster, that of one node."""

    used: int
    limit: int


class QueueStats:
    """Every method raises `QueueUnavailable` if Redis does not respond."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = RedisScripts(client)

    def waiting(self, kind: JobKind) -> Waiting:
        """The queued jobs of a kind, of all tenants."""
        tenants = [each.decode() for each in self._redis.call("zrange", tenants_key(kind), 0, -1)]
        queues = [queue_prefix(kind) + tenant for tenant in tenants]
        lengths = self._redis.pipeline([("ZCARD", queue) for queue in queues])
        first = [
            found[0].decode() for found in self._redis.pipeline([("ZRANGE", queue, 0, 0) for queue in queues]) if found
        ]
        now_ms = self._redis.now_ms()
        return Waiting(sum(lengths), max((age(job_id, now_ms) for job_id in first), default=0))

    def running(self) -> Running:
        """The jobs that workers hold."""
        ids = [each.decode() for each in self._redis.call("zrange", LEASES, 0, -1)]
        found = self._redis.pipeline([("HMGET", job_key(each), "kind", "left_ms") for each in ids])
        held = [(kind.decode(), left) for kind, left in found if kind]
        return Running(Counter(kind for kind, _ in held), Counter(kind for kind, left in held if left))

    def reaper_round(self) -> float | None:
        """When a reaper last finished a round, in seconds since 1970; None if never."""
        finished = self._redis.call("get", REAPER_ROUND)
        return int(finished) / 1000 if finished else None

    def memory(self) -> Memory | None:
        """Redis' memory; None if clients may not query it."""
        try:
            found = section(self._redis.client, "memory")
        except redis.exceptions.NoPermissionError:
            return None
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not respond: {error}") from error
        return Memory(found["used_memory"], found.get("maxmemory") or 0)

    def webhooks_overdue_seconds(self) -> float:
        """How long the first webhook has been due."""
        return self._overdue_seconds(WEBHOOK_NAMES["tenants"])

    def removals_overdue_seconds(self) -> float:
        """How long the first removal of a job's files has been due."""
        return self._overdue_seconds(REMOVALS)

    def _overdue_seconds(self, key: str) -> float:
        """How long the first member of a sorted set has been due; its scores are in milliseconds."""
        first = self._redis.call("zrange", key, 0, 0, withscores=True)
        return max(0.0, (self._redis.now_ms() - first[0][1]) / 1000) if first else 0.0


def age(job_id: str, now_ms: int) -> float:
    """Seconds since a job was created."""
    return max(0.0, now_ms / 1000 - job_created_at(job_id).timestamp())
