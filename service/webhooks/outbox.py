"""Webhook deliveries in Redis: which are due, the result of each attempt, and redelivery.

The scripts that change a job's state write them, atomically with the change (lua/outbox.lua).
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import redis

from service.contract.deliveries import Attempt, Delivery, DeliveryStatus
from service.contract.problems import FieldError, InvalidInput
from service.store.keys import WEBHOOK_NAMES
from service.store.scripts import RedisScripts, milliseconds, time_of

RECEIVER_BACK_OFF_SECONDS = (5, 30, 120, 300)
"""Pause for a receiver after its first, second, … consecutive failure."""

CLAIM_SECONDS = 60
"""Longer than an attempt: if a sender has recorded none by then, it has died, and another sends the delivery again."""

BATCH = 100
MAX_REDELIVERIES = 10_000
"""Per call."""
ATTEMPT = "attempt:"


class Outcome(StrEnum):
    """What an attempt means for its delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class InFlight:
    """The deliveries that a sender is making, and how many of them may go to one host of a tenant."""

    deliveries: Sequence[Delivery]
    max_per_host: int

    def shares(self, free: int) -> dict[str, Any]:
        """The script's arguments for a sender that has capacity for `free` more."""
        return {
            "free": free,
            "busy": Counter(each.tenant for each in self.deliveries),
            "busy_hosts": Counter(f"{each.tenant}:{each.host}" for each in self.deliveries),
            "of_host": self.max_per_host,
        }


UNLIMITED = 10**9
SEQUENTIAL: dict[str, Any] = {"free": UNLIMITED, "busy": {}, "busy_hosts": {}, "of_host": UNLIMITED}
"""Shares of a sender without concurrent attempts."""


class Outbox:
    """Deliveries of all tenants. Every method raises `QueueUnavailable` if Redis is unavailable.

    `clock` returns Unix seconds; by default it is Redis' clock, which all senders share.
    """

    def __init__(self, client: redis.Redis, clock: Callable[[], float] | None = None) -> None:
        self._redis = RedisScripts(client)
        self._clock = clock or (lambda: self._redis.now_ms() / 1000)

    def now(self) -> float:
        """The current time in Unix seconds, by which deliveries are due."""
        return self._clock()

    def claim(self, limit: int, in_flight: InFlight | None = None) -> list[Delivery]:
        """Up to `limit` due deliveries, which no other sender gets for `CLAIM_SECONDS`.

        With `in_flight`, tenants and hosts get no more than their shares.
        """
        shares = in_flight.shares(limit) if in_flight else SEQUENTIAL
        found = self._run_script("claim_deliveries", lease_ms=milliseconds(CLAIM_SECONDS), limit=limit, **shares)
        pairs = zip(found[::2], found[1::2], strict=True)
        claimed = [(self.get(delivery_id.decode()), host.decode()) for delivery_id, host in pairs]
        return [delivery.model_copy(update={"host": host}) for delivery, host in claimed if delivery]

    def record(
        self,
        delivery: Delivery,
        attempt: Attempt,
        outcome: Outcome,
        retry_seconds: float = 0,
        retry_after_seconds: float = 0,
    ) -> None:
        """Record an attempt at a claimed delivery, when the next one is due, and its receiver's health."""
        self._run_script(
            "record_delivery",
            delivery=delivery.model_dump(include={"id", "job", "tenant", "receiver", "endpoint", "url"}),
            entry=attempt.model_dump_json(),
            outcome=outcome,
            retry_ms=milliseconds(retry_seconds),
            back_off_ms=[milliseconds(each) for each in RECEIVER_BACK_OFF_SECONDS],
            retry_after_ms=milliseconds(retry_after_seconds),
        )

    def get(self, delivery_id: str) -> Delivery | None:
        """A delivery; None if it does not exist, or its job's record has been deleted."""
        stored = self._redis.call("hgetall", WEBHOOK_NAMES["delivery"] + delivery_id)
        if not stored:
            return None
        fields = {name.decode(): value.decode() for name, value in stored.items()}
        logged = sorted((int(name.removeprefix(ATTEMPT)), name) for name in fields if name.startswith(ATTEMPT))
        attempts = [json.loads(fields[name]) for _, name in logged]
        next_at = self._next_attempt_at(fields["receiver"], delivery_id)
        return Delivery.model_validate({**fields, "attempts": attempts, "next_attempt_at": next_at}, extra="ignore")

    def of_job(self, job_id: str) -> list[Delivery]:
        """A job's deliveries in sending order."""
        ids = self._redis.call("lrange", WEBHOOK_NAMES["of_job"] + job_id, 0, -1)
        return [delivery for each in ids if (delivery := self.get(each.decode()))]

    def redeliver_job(self, job_id: str, status: DeliveryStatus | None = None) -> int:
        """Send a job's webhooks again, with the same IDs; returns how many."""
        return self._redeliver(self._redis.call("lrange", WEBHOOK_NAMES["of_job"] + job_id, 0, -1), status)

    def redeliver(
        self, tenant: str, after: datetime, before: datetime | None = None, status: DeliveryStatus | None = None
    ) -> int:
        """Send a tenant's webhooks of a period, by default until now, again; returns how many.

        Raises:
            InvalidInput: the period has more than `MAX_REDELIVERIES`.
        """
        oldest, end = (f"{at * 1000:.0f}" for at in (after.timestamp(), before.timestamp() if before else self.now()))
        between = (WEBHOOK_NAMES["of_tenant"] + tenant, oldest, f"({end}")
        if (count := self._redis.call("zcount", *between)) > MAX_REDELIVERIES:
            detail = f"the period has {count:,} webhooks; a call sends at most {MAX_REDELIVERIES:,} again"
            raise InvalidInput(detail, [FieldError("#/after", detail)])
        return self._redeliver(self._redis.call("zrangebyscore", *between), status)

    def _redeliver(self, ids: list[bytes], status: DeliveryStatus | None) -> int:
        count = 0
        for start in range(0, len(ids), BATCH):
            batch = [each.decode() for each in ids[start : start + BATCH]]
            count += self._run_script("redeliver", ids=batch, status=status or "")
        return count

    def _next_attempt_at(self, receiver: str, delivery_id: str) -> datetime | None:
        due = self._redis.call("zscore", WEBHOOK_NAMES["pending"] + receiver, delivery_id)
        if due is None:
            return None
        blocked_until = float(self._redis.call("hget", WEBHOOK_NAMES["receiver"] + receiver, "blocked_until") or 0)
        return time_of(max(due, blocked_until))

    def _run_script(self, script: str, **arguments: Any) -> Any:
        arguments = {"names": WEBHOOK_NAMES, "now": milliseconds(self._clock()), **arguments}
        return self._redis.run(script, {"due": WEBHOOK_NAMES["due"]}, arguments)
