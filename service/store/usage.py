"""Tenants' usage of devices, by day, kind of job and model; `lua/usage.lua` writes it.

Days are those of UTC on Redis' clock. An attempt counts on the day on which it ends.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from service.contract.budgets import budget_of
from service.contract.record import Job
from service.contract.schemas.usage import Budget
from service.contract.settings import Settings
from service.contract.usage import KEPT_DAYS, MICROS, Period, Usage
from service.store.keys import USED_DAYS, USED_MONTHS, USED_TENANTS, tenant_key
from service.store.quotas import UNLIMITED, Limits
from service.store.scripts import RedisScripts

USAGE_NAMES = {"days": USED_DAYS, "months": USED_MONTHS, "tenants": USED_TENANTS}
EPOCH = date(1970, 1, 1)
READ_AT_ONCE = 500
SEPARATOR = "|"


@dataclass(frozen=True)
class Prices:
    """Price of a second on a device, by model or else by kind of job; adapters count as models."""

    of: Mapping[str, float] = field(default_factory=dict)

    def micros_per_ms(self, job: Job) -> float | None:
        """Millionths of the currency for a millisecond of a job; None if it is free.

        With adapters, the highest price counts, so that an adapter costs the same as when it is the job's model.
        """
        model, *adapters = map(self._of_model, job.models)
        prices = (self.of.get(job.kind) if model is None else model, *adapters)
        price = max((each for each in prices if each is not None), default=None)
        return None if price is None else price * MICROS / 1000

    def _of_model(self, reference: str) -> float | None:
        return self.of.get(reference, self.of.get(reference.partition("@")[0]))


FREE = Prices()


def prices_of(settings: Settings) -> Prices:
    """Configured by the settings."""
    return Prices(settings.device_prices)


def usage_of(job: Job, prices: Prices) -> dict[str, Any]:
    """What the scripts need to know about a job to record its usage."""
    about = {"tenant": job.tenant, "kind": job.kind, "model": model_of(job), "kept_seconds": KEPT_DAYS * 86_400}
    rate = prices.micros_per_ms(job)
    return about if rate is None else {**about, "micros_per_ms": rate}


def model_of(job: Job) -> str:
    """The model and the adapters that a job uses, each once.

    Without their order and weights, which neither cost anything nor tell what was used, and of which there are too many
    to count each.
    """
    model, *adapters = job.models
    return " + ".join((model, *sorted(set(adapters))))


class UsageStore:
    """Reads the usage and the budgets. Every method raises `QueueUnavailable` if Redis is unavailable."""

    def __init__(self, scripts: RedisScripts, limits: Limits = UNLIMITED) -> None:
        self._redis, self._limits = scripts, limits

    def today(self) -> date:
        """The day on which attempts that end now count."""
        return self._redis.now().date()

    def tenants(self, since: date) -> list[str]:
        """Tenants with usage on a day or later."""
        found = self._redis.call("zrangebyscore", USED_TENANTS, (since - EPOCH).days, "+inf")
        return sorted(each.decode() for each in found)

    def budget(self, tenant: str, currency: str | None) -> Budget | None:
        """A tenant's budget for this month, with costs if there is a currency; None if it has none."""
        args = {"tenant": tenant, "limits": self._limits.as_arguments(), "months": USED_MONTHS}
        figures = self._redis.run("read_budget", {"tenant": tenant_key(tenant)}, args).decode()
        return budget_of(tenant, json.loads(figures), currency) if figures else None

    def of(self, period: Period, tenant: str | None = None) -> Iterator[Usage]:
        """The usage of a tenant, or of all."""
        tenants = self.tenants(period.first) if tenant is None else [tenant]
        wanted = [(each, day) for each in tenants for day in period.days]
        for begin in range(0, len(wanted), READ_AT_ONCE):
            some = wanted[begin : begin + READ_AT_ONCE]
            stored = self._redis.pipeline([("HGETALL", f"{USED_DAYS}{each}:{day}") for each, day in some])
            for (each, day), fields in zip(some, stored, strict=True):
                yield from read_day(each, day, fields)


def read_day(tenant: str, day: date, fields: dict[bytes, bytes]) -> Iterator[Usage]:
    """The usage in a day's hash."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for name, amount in fields.items():
        kind, _, rest = name.decode().partition(SEPARATOR)
        model, _, what = rest.rpartition(SEPARATOR)
        found.setdefault((kind, model), Counter())[what] = int(amount)
    for (kind, model), amounts in sorted(found.items()):
        yield Usage(day, tenant, kind, model, amounts)
