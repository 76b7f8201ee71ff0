"""State transitions of jobs: each is one Lua script that checks the current state and who requests it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from service.contract.failures import DEADLINE_PASSED
from service.contract.record import Job, JobError, JobKind
from service.contract.settings import Settings
from service.contract.states import TRANSITIONS, WRITERS, JobEvent, JobStatus, Writer
from service.contract.storage_keys import item_of, output_prefix
from service.store.counters import counts_of_change
from service.store.keys import (
    COUNTERS,
    DEADLINES,
    KEPT,
    LEASES,
    REMOVALS,
    WAKEUPS,
    WEBHOOK_NAMES,
    events_key,
    job_key,
    member,
    model_users_key,
    preview_key,
    queue_prefix,
    running_prefix,
    tenant_key,
    tenants_key,
    virtual_time_key,
)
from service.store.queries import STRUCTURED
from service.store.quotas import UNLIMITED, Limits
from service.store.scripts import RedisScripts, milliseconds
from service.store.usage import FREE, USAGE_NAMES, Prices, usage_of

PRIORITY_SECONDS = 1e10
"""A step of priority outweighs this much waiting time: longer than any wait, and small enough for a double."""


@dataclass(frozen=True)
class JobTimings:
    """Durations in seconds."""

    retention: int
    data_retention: int
    lease: float
    wakeup: float = 30


NOTHING: Mapping[str, Any] = MappingProxyType({})


def timings(settings: Settings) -> JobTimings:
    """Configured by the settings."""
    return JobTimings(
        retention=settings.job_retention_seconds,
        data_retention=settings.output_retention_seconds,
        lease=settings.lease_seconds,
    )


class JobTransitions:
    """Carries out the table of transitions."""

    def __init__(
        self,
        scripts: RedisScripts,
        times: JobTimings,
        max_losses: int = 3,
        prices: Prices = FREE,
        limits: Limits = UNLIMITED,
    ) -> None:
        self._redis, self._times, self._max_losses = scripts, times, max_losses
        self._prices, self._limits = prices, limits

    def cancel(self, job: Job) -> "Change":
        """Cancel a queued job immediately, a running one at its next step."""
        return self.change(job, JobEvent.CANCEL, Writer.CLIENT)

    def expire(self, job: Job, by: Writer) -> "Change":
        """End a queued job past its deadline, or request a running one's cancellation."""
        failure = DEADLINE_PASSED.error("the time that Cancel-After allowed is over").model_dump(mode="json")
        return self.change(job, JobEvent.EXPIRE, by, {"error": failure}, (None, failure))

    def lose(self, job: Job, error: JobError, by: Writer) -> "Change":
        """Requeue a job whose attempt was lost, or end it with the error after too many losses."""
        losses = {"losses": job.losses + 1}
        if job.losses + 1 < self._max_losses:
            return self.change(job, JobEvent.RELEASE, by, losses)
        failure = error.model_dump(mode="json")
        return self.change(job, JobEvent.FAIL, by, {**losses, "error": failure}, (None, failure))

    def change(
        self,
        job: Job,
        event: JobEvent,
        by: Writer,
        changes: Mapping[str, Any] = NOTHING,
        entry: tuple[str | None, Mapping[str, Any]] = (None, NOTHING),
    ) -> "Change":
        """Carry out an event, if the job's state allows it; otherwise change nothing.

        Events of an attempt require that the attempt still holds the job, or, from the reaper, that its lease has
        expired.

        Args:
            changes: what to write into the record.
            entry: type and data of the entry in the job's events; the type None stands for the next state's.

        Raises:
            ValueError: the writer may not request this event.
        """
        if by not in WRITERS[event]:
            raise ValueError(f"{by} may not request {event}")
        of_attempt = Writer.HOLDER in WRITERS[event]
        lapsed = of_attempt and by is Writer.REAPER
        now = datetime.now(UTC)
        entry_type, entry_data = entry
        args: dict[str, Any] = {
            "id": job.id,
            "tenant": job.tenant,
            "member": member(job.tenant, job.id),
            "moves": moves_of(event, job.kind, changes, lapsed),
            "attempt": str(job.attempt) if of_attempt else None,
            "only_lapsed": lapsed,
            "lease_ms": milliseconds(self._times.lease),
            "place": queue_score(job),
            "now": now.isoformat(),
            "expires_at": (now + timedelta(seconds=self._times.retention)).isoformat(),
            "retention_seconds": self._times.retention,
            "data_ms": milliseconds(min(self._times.data_retention, self._times.retention)),
            "entry_type": entry_type,
            "entry_data": json.dumps(dict(entry_data)),
            "webhooks": WEBHOOK_NAMES,
            "usage": {"names": USAGE_NAMES, "about": usage_of(job, self._prices)},
            "limits": self._limits.as_arguments(),
        }
        if event is JobEvent.SUCCEED and "video" in changes["output"]:
            args |= {
                "output_ms": round(changes["output"]["video"]["seconds"] * 1000),
                "stored_item": item_of(output_prefix(job.id)),
                "stored_bytes": sum(
                    each["bytes"] for each in changes["output"].values() if isinstance(each, dict) and "bytes" in each
                ),
            }
        keys = {
            **keys_of(job),
            "model_users": [model_users_key(job.tenant, model) for model in job.models],
            "leases": LEASES,
            "preview": preview_key(job.id),
            "running": running_prefix(job.kind) + job.tenant,
            "counters": COUNTERS,
            "tenant": tenant_key(job.tenant),
        }
        status = self._redis.run("transition", keys, args, to_fields(changes)).decode()
        return Change(status != "" and not status.startswith("="), JobStatus(status.lstrip("=")) if status else None)


@dataclass(frozen=True)
class Change:
    """Whether a change happened, and the job's state now; None if there is no such job."""

    happened: bool
    status: JobStatus | None


def to_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Hash fields of a record: structured members as JSON."""
    return {name: json.dumps(value) if name in STRUCTURED else value for name, value in record.items()}


def keys_of(job: Job) -> dict[str, str]:
    """The keys of a job that both its creation and its transitions need."""
    return {
        "job": job_key(job.id),
        "queue": queue_prefix(job.kind) + job.tenant,
        "tenants": tenants_key(job.kind),
        "virtual_time": virtual_time_key(job.kind),
        "wakeups": WAKEUPS,
        "events": events_key(job.id),
        "deadlines": DEADLINES,
        "removals": REMOVALS,
        "kept": KEPT + job.tenant,
    }


def moves_of(
    event: JobEvent, kind: JobKind, changes: Mapping[str, Any] = NOTHING, lapsed: bool = False
) -> dict[JobStatus, Any]:
    """The rows of an event in the table by current state, as arguments of a script."""
    code = (changes.get("error") or {}).get("code", "")
    run_ms = (changes.get("metrics") or {}).get("execution_ms")
    return {
        before: {
            "to": move.after,
            "effects": dict.fromkeys(move.effects, True),
            "counts": counts_of_change(kind, move.after, code, run_ms, lapsed),
        }
        for (before, cause), move in TRANSITIONS.items()
        if cause is event
    }


def queue_score(job: Job) -> float:
    """Score of a job in its tenant's queue, lowest first: by priority, then by time."""
    return job.created_at.timestamp() - job.options.priority * PRIORITY_SECONDS
