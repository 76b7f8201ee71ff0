"""Deliveries in Redis: which are due, what came of each attempt, and which are sent again.

They are written by the scripts that change a job's state, in the same step (lua/outbox.lua).
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import redis

from service.contract.deliveries import Attempt, Delivery, DeliveryStatus
from service.contract.problems import FieldError, InvalidInput
from service.store.keys import WEBHOOK_NAMES
from service.store.scripts import Scripts, milliseconds

RECEIVER_BACK_OFF_SECONDS = (5, 30, 120, 300)
"""For how long nobody tries a receiver after its first, second, … failure in a row."""

CLAIM_SECONDS = 60
"""Longer than an attempt; a sender that is silent for so long has died, and another one sends the same again."""

BATCH = 100
MOST_REDELIVERED = 10_000
"""By one call."""
ATTEMPT = "attempt:"


class Outcome(StrEnum):
    """What an attempt means for its delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Busy:
    """What a sender has on its way, and how much of it may go to one host of a tenant."""

    on_their_way: Sequence[Delivery]
    most_of_host: int

    def shares(self, free: int) -> dict[str, Any]:
        """As the script is told, by a sender that may begin so many more."""
        return {
            "free": free,
            "busy": Counter(each.tenant for each in self.on_their_way),
            "busy_hosts": Counter(f"{each.tenant}:{each.host}" for each in self.on_their_way),
            "of_host": self.most_of_host,
        }


UNBOUNDED = 10**9
ALONE: dict[str, Any] = {"free": UNBOUNDED, "busy": {}, "busy_hosts": {}, "of_host": UNBOUNDED}
"""Shares of a sender that makes one attempt after the other."""


class Outbox(Scripts):
    """Deliveries of all tenants. Every method raises `QueueUnavailable` where Redis does not answer.

    `clock` tells the time in Unix seconds; Redis' own if not given, so that all senders share one.
    """

    def __init__(self, client: redis.Redis, clock: Callable[[], float] | None = None) -> None:
        super().__init__(client)
        self._clock = clock or self._redis_time

    def now(self) -> float:
        """The time that deliveries go by, in Unix seconds."""
        return self._clock()

    def claim(self, limit: int, busy: "Busy | None" = None) -> list[Delivery]:
        """Up to so many deliveries that are due, which nobody else gets for `CLAIM_SECONDS`.

        `busy` is what the sender has on its way; where it is told, tenants and hosts have no more than their shares.
        """
        shares = busy.shares(limit) if busy else ALONE
        found = self._ask("claim_deliveries", lease_ms=milliseconds(CLAIM_SECONDS), limit=limit, **shares)
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
        """Note an attempt at a claimed delivery, when the next one is due, and how its receiver does."""
        self._ask(
            "record_delivery",
            delivery=delivery.model_dump(include={"id", "job", "tenant", "receiver", "endpoint", "url"}),
            entry=attempt.model_dump_json(),
            outcome=outcome,
            retry_ms=milliseconds(retry_seconds),
            back_off_ms=[milliseconds(each) for each in RECEIVER_BACK_OFF_SECONDS],
            retry_after_ms=milliseconds(retry_after_seconds),
        )

    def get(self, delivery_id: str) -> Delivery | None:
        """A delivery as it stands; None where there is none, or its job's record was dropped."""
        stored = self._call("hgetall", WEBHOOK_NAMES["delivery"] + delivery_id)
        if not stored:
            return None
        fields = {name.decode(): value.decode() for name, value in stored.items()}
        logged = sorted((int(name.removeprefix(ATTEMPT)), name) for name in fields if name.startswith(ATTEMPT))
        attempts = [json.loads(fields[name]) for _, name in logged]
        next_at = self._next_attempt_at(fields["receiver"], delivery_id)
        return Delivery.model_validate({**fields, "attempts": attempts, "next_attempt_at": next_at}, extra="ignore")

    def of_job(self, job_id: str) -> list[Delivery]:
        """The deliveries of a job in the order in which they are sent."""
        ids = self._call("lrange", WEBHOOK_NAMES["of_job"] + job_id, 0, -1)
        return [delivery for each in ids if (delivery := self.get(each.decode()))]

    def redeliver_job(self, job_id: str, status: DeliveryStatus | None = None) -> int:
        """Send what was told of a job again, under the same ids; returns how many deliveries."""
        return self._redeliver(self._call("lrange", WEBHOOK_NAMES["of_job"] + job_id, 0, -1), status)

    def redeliver(
        self, tenant: str, after: datetime, before: datetime | None = None, status: DeliveryStatus | None = None
    ) -> int:
        """Send what was told of a tenant's jobs in some time, until now if not given, again; returns how many.

        Raises:
            InvalidInput: more than `MOST_REDELIVERED` were written in that time.
        """
        oldest, end = (f"{at * 1000:.0f}" for at in (after.timestamp(), before.timestamp() if before else self.now()))
        between = (WEBHOOK_NAMES["of_tenant"] + tenant, oldest, f"({end}")
        if (written := self._call("zcount", *between)) > MOST_REDELIVERED:
            detail = (
                f"{written:,} webhooks were written in that time; at most {MOST_REDELIVERED:,} are sent again at once"
            )
            raise InvalidInput(detail, [FieldError("#/after", detail)])
        return self._redeliver(self._call("zrangebyscore", *between), status)

    def _redeliver(self, ids: list[bytes], status: DeliveryStatus | None) -> int:
        count = 0
        for start in range(0, len(ids), BATCH):
            batch = [each.decode() for each in ids[start : start + BATCH]]
            count += self._ask("redeliver", ids=batch, status=status or "")
        return count

    def _next_attempt_at(self, receiver: str, delivery_id: str) -> datetime | None:
        due = self._call("zscore", WEBHOOK_NAMES["pending"] + receiver, delivery_id)
        if due is None:
            return None
        blocked_until = float(self._call("hget", WEBHOOK_NAMES["receiver"] + receiver, "blocked_until") or 0)
        return datetime.fromtimestamp(max(due, blocked_until) / 1000, UTC)

    def _redis_time(self) -> float:
        seconds, microseconds = self._call("time")
        return float(seconds + microseconds / 1e6)

    def _ask(self, script: str, **ask: Any) -> Any:
        named = {"names": WEBHOOK_NAMES, "now": milliseconds(self._clock()), **ask}
        return self._run(script, [WEBHOOK_NAMES["due"]], [json.dumps(named)])
