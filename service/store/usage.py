"""What tenants have had of the devices, by day, kind of job and model; `lua/usage.lua` writes it.

Days are those of UTC on Redis' clock. An attempt counts on the day on which it ends.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from service.contract.record import Job
from service.store.keys import USED_DAYS, USED_TENANTS
from service.store.scripts import RedisScripts

KEPT_DAYS = 366
KEPT_SECONDS = KEPT_DAYS * 86_400
USAGE_NAMES = {"days": USED_DAYS, "tenants": USED_TENANTS}
EPOCH = date(1970, 1, 1)
READ_AT_ONCE = 500
SEPARATOR = "|"


@dataclass(frozen=True)
class Usage:
    """A tenant's usage of a day, of one kind of job and one model.

    `amounts` has `attempts` that ended, `device_ms`, `output_ms`, `output_bytes`, and how many jobs `succeeded`,
    `failed`, were `canceled` or `expired`.
    """

    day: date
    tenant: str
    kind: str
    model: str
    amounts: Counter[str]


def usage_of(job: Job) -> dict[str, Any]:
    """What a job's usage is about, as the scripts take it."""
    return {"tenant": job.tenant, "kind": job.kind, "model": job.model, "kept_seconds": KEPT_SECONDS}


class UsageStore:
    """Reads the usage. Every method raises `QueueUnavailable` if Redis is unavailable."""

    def __init__(self, scripts: RedisScripts) -> None:
        self._redis = scripts

    def today(self) -> date:
        """The day to which attempts that end now count."""
        return self._redis.now().date()

    def tenants(self, since: date) -> list[str]:
        """Tenants with usage on a day or later."""
        found = self._redis.call("zrangebyscore", USED_TENANTS, (since - EPOCH).days, "+inf")
        return sorted(each.decode() for each in found)

    def between(self, tenants: list[str], first: date, last: date) -> Iterator[Usage]:
        """The usage of some tenants from the first day to the last, by tenant and day."""
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        wanted = [(tenant, day) for tenant in tenants for day in days]
        for begin in range(0, len(wanted), READ_AT_ONCE):
            some = wanted[begin : begin + READ_AT_ONCE]
            stored = self._redis.pipeline([("HGETALL", f"{USED_DAYS}{tenant}:{day}") for tenant, day in some])
            for (tenant, day), fields in zip(some, stored, strict=True):
                yield from read_day(tenant, day, fields)


def read_day(tenant: str, day: date, fields: dict[bytes, bytes]) -> Iterator[Usage]:
    """The usage that a hash holds."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for name, amount in fields.items():
        kind, _, rest = name.decode().partition(SEPARATOR)
        model, _, what = rest.rpartition(SEPARATOR)
        found.setdefault((kind, model), Counter())[what] = int(amount)
    for (kind, model), amounts in sorted(found.items()):
        yield Usage(day, tenant, kind, model, amounts)
