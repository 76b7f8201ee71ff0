"""How jobs, workers and webhooks stand at this moment, for metrics."""

from dataclasses import dataclass

import redis

from service.contract.problems import QueueUnavailable
from service.contract.record import JobKind
from service.store.connections import section
from service.store.keys import LEASES, REAPER_ROUND, REMOVALS, WEBHOOK_NAMES, job_key, queue_prefix, tenants_key
from service.store.scripts import RedisScripts

HEX_DIGITS_OF_TIME = slice(4, 16)
"""In a job's id, `job_` and a UUIDv7, which begins with the milliseconds of its making."""


@dataclass(frozen=True)
class Waiting:
    """The waiting jobs of a kind: how many, and for how many seconds the longest-waiting of each tenant's first has."""

    jobs: int
    oldest_seconds: float


@dataclass(frozen=True)
class Memory:
    """What Redis uses and how much it may, in bytes; 0 where it sets itself no limit. In a cluster, one node's."""

    used: int
    limit: int


class QueueStats:
    """Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = RedisScripts(client)

    def waiting(self, kind: JobKind) -> Waiting:
        """All tenants' queues of a kind."""
        tenants = [each.decode() for each in self._redis.call("zrange", tenants_key(kind), 0, -1)]
        queues = [queue_prefix(kind) + tenant for tenant in tenants]
        lengths = self._redis.pipeline([("ZCARD", queue) for queue in queues])
        first = [
            found[0].decode() for found in self._redis.pipeline([("ZRANGE", queue, 0, 0) for queue in queues]) if found
        ]
        now_ms = self._redis.now_ms()
        return Waiting(sum(lengths), max((age(job_id, now_ms) for job_id in first), default=0))

    def running(self) -> dict[str, int]:
        """Jobs that workers hold, by kind."""
        ids = [each.decode() for each in self._redis.call("zrange", LEASES, 0, -1)]
        kinds = [
            kind.decode() for kind in self._redis.pipeline([("HGET", job_key(each), "kind") for each in ids]) if kind
        ]
        return {kind: kinds.count(kind) for kind in kinds}

    def reaper_round(self) -> float | None:
        """When a reaper last finished its round, in seconds since 1970; None where none ever has."""
        told = self._redis.call("get", REAPER_ROUND)
        return int(told) / 1000 if told else None

    def memory(self) -> Memory | None:
        """Of Redis; None where it does not let clients ask."""
        try:
            found = section(self._redis.client, "memory")
        except redis.exceptions.NoPermissionError:
            return None
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        return Memory(found["used_memory"], found.get("maxmemory") or 0)

    def webhooks_overdue_seconds(self) -> float:
        """For how long the webhook that is due first has been."""
        return self._overdue_seconds(WEBHOOK_NAMES["tenants"])

    def removals_overdue_seconds(self) -> float:
        """For how long the ended job whose files are due first to go has been."""
        return self._overdue_seconds(REMOVALS)

    def _overdue_seconds(self, key: str) -> float:
        """Of a sorted set by the milliseconds at which its members are due."""
        first = self._redis.call("zrange", key, 0, 0, withscores=True)
        return max(0.0, (self._redis.now_ms() - first[0][1]) / 1000) if first else 0.0


def age(job_id: str, now_ms: int) -> float:
    """Seconds since a job was accepted."""
    return max(0.0, (now_ms - int(job_id[HEX_DIGITS_OF_TIME], 16)) / 1000)
