"""Counters and histograms shared by all processes, in Redis: workers come and go, and any API can report them.

One hash; a field is a metric's name, its label values and, for a histogram, the bucket.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

import redis
import structlog

from service.contract.problems import QueueUnavailable
from service.contract.record import JobKind
from service.contract.states import ENDED, JobStatus
from service.store.keys import COUNTERS
from service.store.scripts import RedisScripts

log = structlog.get_logger()

Counts = dict[str, float]
"""Amounts to add, by field."""

MAX_LABEL_SETS = 200
"""Limit per metric; further label values are reported as `other`."""

SEPARATOR = "|"
LABEL_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,64}")


@dataclass(frozen=True)
class SharedCounter:
    """A counter; `name` omits `_total`. Labels must have few values: no ids, tenants or names of models."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def plus(self, *values: str, amount: float = 1) -> Counts:
        """An increment by 1, or by `amount`."""
        return {field(self.name, values): amount}

    def read(self, stored: Mapping[str, float]) -> dict[tuple[str, ...], float]:
        """Amounts by label values."""
        found: dict[tuple[str, ...], float] = {}
        for values, amount in sorted(fields_of(self.name, stored)):
            known = values in found or len(found) < MAX_LABEL_SETS
            key = values if known else ("other",) * len(self.labels)
            found[key] = found.get(key, 0) + amount
        return found


@dataclass(frozen=True)
class SharedHistogram:
    """A histogram of durations in seconds; `bounds` are upper bounds."""

    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]

    def observed(self, *values: str, seconds: float) -> Counts:
        """One observation of a duration."""
        place = bisect_left(self.bounds, seconds)
        bucket = str(float(self.bounds[place])) if place < len(self.bounds) else "+Inf"
        return {field(self.name, (*values, bucket)): 1, field(self.name, (*values, "sum")): max(seconds, 0)}

    def read(self, stored: Mapping[str, float]) -> dict[tuple[str, ...], tuple[list[tuple[str, float]], float]]:
        """Cumulative buckets and the sum, by label values."""
        amounts = dict(fields_of(self.name, stored))
        names = [*(str(float(bound)) for bound in self.bounds), "+Inf"]
        found = {}
        for values in sorted({values[:-1] for values in amounts}):
            cumulated = accumulate(amounts.get((*values, name), 0) for name in names)
            found[values] = list(zip(names, cumulated, strict=True)), amounts.get((*values, "sum"), 0)
        return found


WAITS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400)
RUNS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400)

JOBS_ENDED = SharedCounter("cinemo_jobs_ended", "Jobs that have ended.", ("kind", "status", "code"))
LEASES_LAPSED = SharedCounter("cinemo_leases_lapsed", "Attempts whose worker fell silent.", ("kind",))
GPU_SECONDS = SharedCounter("cinemo_gpu_seconds", "Time that attempts had the device, however they ended.", ("kind",))
START_DELAY = SharedHistogram("cinemo_job_start_delay_seconds", "From acceptance to first attempt.", ("kind",), WAITS)
RUN_TIME = SharedHistogram("cinemo_job_run_seconds", "Length of the attempts that ended their job.", ("kind",), RUNS)
POLICY_DECISIONS = SharedCounter("cinemo_policy_decisions", "What the policy has decided.", ("stage", "decision"))
WEBHOOK_ATTEMPTS = SharedCounter("cinemo_webhook_attempts", "Requests to receivers of webhooks.", ("outcome",))
WEBHOOK_DELAY = SharedHistogram(
    "cinemo_webhook_delay_seconds", "From a job's change of state to the receiver's 2xx.", (), WAITS
)

SHARED_COUNTERS = (JOBS_ENDED, LEASES_LAPSED, GPU_SECONDS, POLICY_DECISIONS, WEBHOOK_ATTEMPTS)
SHARED_HISTOGRAMS = (START_DELAY, RUN_TIME, WEBHOOK_DELAY)


class Counters:
    """Increments and reads the counters."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = RedisScripts(client)

    def count(self, counts: Counts) -> None:
        """Increment fields; a failure is only logged.

        Counts for a job's transition are added by the script that carries it out instead.
        """
        try:
            self._redis.pipeline([("HINCRBYFLOAT", COUNTERS, name, amount) for name, amount in counts.items()])
        except QueueUnavailable as error:
            log.warning("not counted", error=str(error))

    def counted(self) -> dict[str, float]:
        """All fields; raises `QueueUnavailable` if Redis does not respond."""
        return {name.decode(): float(amount) for name, amount in self._redis.call("hgetall", COUNTERS).items()}


def counts_of_change(kind: JobKind, after: JobStatus, code: str, run_ms: int | None, lapsed: bool) -> Counts:
    """Counts for a transition to a state, with the error's `code` or empty, and `run_ms` of an attempt that ends."""
    counts = LEASES_LAPSED.plus(kind) if lapsed else {}
    if after in ENDED:
        label = code if after in (JobStatus.FAILED, JobStatus.EXPIRED) else ""
        counts |= JOBS_ENDED.plus(kind, after, label)
        if run_ms is not None:
            counts |= RUN_TIME.observed(kind, seconds=run_ms / 1000)
    return counts


def field(name: str, values: tuple[str, ...]) -> str:
    clean = (value if LABEL_VALUE.fullmatch(value) or value == "+Inf" else "other" for value in values)
    return SEPARATOR.join((name, *clean))


def fields_of(name: str, stored: Mapping[str, float]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Label values and amounts of a metric."""
    for each, amount in stored.items():
        begin, *values = each.split(SEPARATOR)
        if begin == name:
            yield tuple(values), amount
