"""Changes of a job that stands: each is one Lua script that checks the state it leaves and the attempt that asks.

The attempt number is the fencing token: a write by an attempt that has been overtaken changes nothing.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from service.contract.failures import DEADLINE_PASSED
from service.contract.record import Job, JobError, JobKind
from service.contract.settings import Settings
from service.contract.states import TRANSITIONS, JobEvent, JobStatus
from service.store.counters import Counts, counts_of_change
from service.store.keys import (
    COUNTERS,
    DEADLINES,
    LEASES,
    REMOVALS,
    USAGE,
    WAKEUPS,
    WEBHOOK_NAMES,
    events_key,
    job_key,
    member,
    model_users_key,
    queue_prefix,
    running_prefix,
    tenants_key,
    virtual_time_key,
)
from service.store.queries import STRUCTURED
from service.store.scripts import RedisScripts, milliseconds

PRIORITY_SECONDS = 1e10
"""What a step of priority counts against the time of acceptance: more than any wait, and little enough for a double."""


@dataclass(frozen=True)
class JobTimings:
    """How long things are kept, in seconds."""

    retention: int = 7 * 86_400
    data_retention: int = 3 * 86_400
    lease: float = 20
    wakeup: float = 30


USUAL = JobTimings()


def timings(settings: Settings) -> JobTimings:
    """As the settings say."""
    return JobTimings(
        retention=settings.job_retention_seconds,
        data_retention=settings.output_retention_seconds,
        lease=settings.lease_seconds,
    )


class JobTransitions:
    """Moves jobs from state to state."""

    def __init__(self, scripts: RedisScripts, times: JobTimings, max_losses: int = 3) -> None:
        self._redis, self._times, self._max_losses = scripts, times, max_losses

    def cancel(self, job: Job) -> "Change":
        """Ask a job to stop: at once while it waits, at its next step while it runs."""
        return self.change(job, JobEvent.CANCEL, None, {})

    def expire(self, job: Job) -> "Change":
        """End a waiting job whose deadline has passed, or ask it to stop where it runs."""
        told = DEADLINE_PASSED.error("the time that Cancel-After allowed is over").model_dump(mode="json")
        return self.change(job, JobEvent.EXPIRE, None, {"error": told}, (None, told))

    def lose(self, job: Job, error: JobError, only_lapsed: bool) -> "Change":
        """Put a job whose attempt was lost back on the queue, or end it with the error after too many losses."""
        losses = {"losses": job.losses + 1}
        if job.losses + 1 < self._max_losses:
            return self.change(job, JobEvent.RELEASE, job.attempt, losses, only_lapsed=only_lapsed)
        told = error.model_dump(mode="json")
        return self.change(job, JobEvent.FAIL, job.attempt, {**losses, "error": told}, (None, told), only_lapsed)

    def change(
        self,
        job: Job,
        event: JobEvent,
        attempt: int | None,
        changes: dict[str, Any],
        entry: tuple[str | None, dict[str, Any]] = (None, {}),
        only_lapsed: bool = False,
    ) -> "Change":
        """Move a job, if its state allows it and the attempt, where one asks, still holds it; else change nothing.

        Args:
            changes: what is written in its record.
            entry: type, of none the next state's, and data of what is added to its events.
            only_lapsed: change nothing, too, where its lease has not lapsed.
        """
        moves = {state: after for (state, cause), after in TRANSITIONS.items() if cause is event}
        now = datetime.now(UTC)
        expires_at = now + timedelta(seconds=self._times.retention)
        entry_type, entry_data = entry
        ask: dict[str, Any] = {
            "id": job.id,
            "tenant": job.tenant,
            "member": member(job.tenant, job.id),
            "moves": moves,
            "attempt": None if attempt is None else str(attempt),
            "only_lapsed": only_lapsed,
            "lease_ms": milliseconds(self._times.lease),
            "place": queue_score(job),
            "wakeup_ms": milliseconds(0 if only_lapsed or event is JobEvent.RELEASE else self._times.wakeup),
            "now": now.isoformat(),
            "expires_at": expires_at.isoformat(),
            "retention_seconds": self._times.retention,
            "data_ms": milliseconds(min(self._times.data_retention, self._times.retention)),
            "entry_type": entry_type,
            "entry_data": json.dumps(entry_data),
            "webhooks": WEBHOOK_NAMES,
            "counts": counts_by_state(job.kind, set(moves.values()), changes, only_lapsed),
        }
        if event is JobEvent.SUCCEED and "video" in changes["output"]:
            ask |= {
                "stored_item": f"jobs/{job.id}",
                "stored_bytes": sum(each["bytes"] for each in changes["output"].values() if isinstance(each, dict)),
            }
        keys = {
            **keys_of(job),
            "leases": LEASES,
            "running": running_prefix(job.kind) + job.tenant,
            "counters": COUNTERS,
        }
        status = self._redis.run("transition", keys, ask, to_fields(changes)).decode()
        return Change(status != "" and not status.startswith("="), JobStatus(status.lstrip("=")) if status else None)


@dataclass(frozen=True)
class Change:
    """Whether a change happened, and the state that the job is in now; None where there is no such job."""

    happened: bool
    status: JobStatus | None


def to_fields(record: dict[str, Any]) -> dict[str, Any]:
    """Hash fields of a record: structured members as JSON."""
    return {name: json.dumps(value) if name in STRUCTURED else value for name, value in record.items()}


def keys_of(job: Job) -> dict[str, str]:
    """What stands of a job, whatever its state, in keys."""
    return {
        "job": job_key(job.id),
        "queue": queue_prefix(job.kind) + job.tenant,
        "tenants": tenants_key(job.kind),
        "virtual_time": virtual_time_key(job.kind),
        "wakeups": WAKEUPS,
        "events": events_key(job.id),
        "model_users": model_users_key(job.tenant, job.model),
        "deadlines": DEADLINES,
        "removals": REMOVALS,
        "usage": USAGE + job.tenant,
    }


def counts_by_state(
    kind: JobKind, states: set[JobStatus], changes: dict[str, Any], lapsed: bool
) -> dict[JobStatus, Counts]:
    """What a change adds to the counters, whichever of some states it leads to."""
    code = (changes.get("error") or {}).get("code", "")
    run_ms = (changes.get("metrics") or {}).get("execution_ms")
    return {state: counts_of_change(kind, state, code, run_ms, lapsed) for state in states}


def queue_score(job: Job) -> float:
    """Where a job stands among its tenant's waiting ones, the least first: by priority, then by time."""
    return job.created_at.timestamp() - job.options.priority * PRIORITY_SECONDS
