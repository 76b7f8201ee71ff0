"""Changes of a job that stands: each is one Lua script that checks the state it leaves and the attempt that asks.

The attempt number is the fencing token: a write by an attempt that has been overtaken changes nothing.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from service.contract.failures import DEADLINE_PASSED
from service.contract.record import (
    Job,
    JobError,
    JobKind,
    JobMetrics,
    JobOutput,
    ModelOutput,
    Progress,
    Training,
    new_id,
)
from service.contract.states import TRANSITIONS, JobEvent, JobStatus
from service.store.counters import Counts, counts_of_change
from service.store.eta import KEPT_SECONDS, WEIGHT, kind_key, measurement, workload_key
from service.store.keys import (
    COUNTERS,
    DEADLINES,
    EVENTS,
    JOB,
    LEASES,
    REMOVALS,
    TENANT,
    USAGE,
    WAKEUPS,
    WEBHOOK_NAMES,
    call_key,
    events_key,
    job_key,
    model_users_key,
    queue_prefix,
    result_key,
    running_prefix,
    tenants_key,
    virtual_time_key,
)
from service.store.queries import STRUCTURED, JobQueries
from service.store.scripts import milliseconds
from service.store.usage import Limits

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


class JobTransitions(JobQueries):
    """Moves jobs from state to state."""

    def __init__(self, client: redis.Redis, times: JobTimings, limits: Limits) -> None:
        super().__init__(client)
        self._times, self._limits = times, limits

    def dequeue(self, kind: JobKind, worker: str) -> Job | None:
        """Begin an attempt at the job that is next, under a lease; None where there is nothing to take.

        Tenants share the workers by their weights, however long their queues are. What has passed its deadline is
        expired on the way.

        Raises:
            RecordUnreadable: it is not for a worker of this version, and goes to another once its lease has lapsed.
        """
        keys = {
            "tenants": tenants_key(kind),
            "virtual_time": virtual_time_key(kind),
            "leases": LEASES,
            "wakeups": WAKEUPS,
            "call": call_key(new_id("")),
        }
        ask = {
            "queues": queue_prefix(kind),
            "running": running_prefix(kind),
            "tenants": TENANT,
            "jobs": JOB,
            "events": EVENTS,
            "lease_ms": milliseconds(self._times.lease),
            "taken_at": datetime.now(UTC).isoformat(),
            "worker": worker,
            "webhooks": WEBHOOK_NAMES,
        }
        while (job_id := self._run("dequeue", keys, ask).decode()).startswith("!"):
            self.expire(job_id[1:])
        return self.get(job_id) if job_id else None

    def renew(self, job: Job) -> JobStatus | None:
        """Keep the lease for its full time from now; None where the attempt no longer holds the job."""
        ask = {"id": job.id, "attempt": str(job.attempt), "lease_ms": milliseconds(self._times.lease)}
        status = self._run("renew", {"job": job_key(job.id), "leases": LEASES}, ask).decode()
        return JobStatus(status) if status else None

    def report_progress(self, job: Job, progress: Progress) -> "Change":
        """Record how far the attempt is."""
        data = progress.model_dump(mode="json")
        return self._change(job, JobEvent.PROGRESS, job.attempt, {"progress": data}, ("progress", data))

    def report_training(self, job: Job, training: Training, kind: str, data: dict[str, Any]) -> "Change":
        """Record what a training left in the storage, and that `kind` of it is new.

        A checkpoint forgets earlier losses: workers that die between two of them do not add up over days.
        """
        changes: dict[str, Any] = {"training": training.model_dump(mode="json")}
        if kind == "checkpoint":
            changes["losses"] = 0
        return self._change(job, JobEvent.PROGRESS, job.attempt, changes, (kind, data))

    def succeed(
        self,
        job: Job,
        output: JobOutput | ModelOutput,
        metrics: JobMetrics,
        digest: str | None = None,
        reused_from: str | None = None,
    ) -> "Change":
        """End a job with its output; as canceled where that was asked for meanwhile.

        By the digest of all that the output follows from it is found again; it may itself be that of an earlier job.
        """
        changes: dict[str, Any] = {
            "output": output.model_dump(mode="json"),
            "metrics": metrics.model_dump(mode="json"),
            **({"digest": digest} if digest else {}),
            **({"reused_from": reused_from} if reused_from else {}),
        }
        ended = self._change(job, JobEvent.SUCCEED, job.attempt, changes)
        if ended.status is JobStatus.SUCCEEDED:
            self._learn(job, metrics, digest, measured=ended.happened and not reused_from)
        return ended

    def _learn(self, job: Job, metrics: JobMetrics, digest: str | None, measured: bool) -> None:
        """Keep what a job that has succeeded says of others: what they take, and what an equal one is to be given."""
        times = measurement(job, metrics) if measured else None
        if times:
            keys = {"workload_times": workload_key(job), "kind_times": kind_key(job.kind)}
            self._run("measure", keys, {**vars(times), "weight": WEIGHT, "kept_seconds": KEPT_SECONDS})
        if digest:
            seconds = min(self._times.data_retention, self._times.retention)
            keys = {"job": job_key(job.id), "result": result_key(job.tenant, digest)}
            self._run("remember", keys, {"id": job.id, "digest": digest, "seconds": seconds})

    def fail(self, job: Job, error: JobError, metrics: JobMetrics | None = None) -> "Change":
        """End a job with an error; as canceled where that was asked for meanwhile."""
        told = error.model_dump(mode="json")
        changes: dict[str, Any] = {"error": told}
        if metrics is not None:
            changes["metrics"] = metrics.model_dump(mode="json")
        return self._change(job, JobEvent.FAIL, job.attempt, changes, (None, told))

    def release(self, job: Job) -> "Change":
        """Hand a job back to the queue, which counts as no loss; it ends here where it was asked to."""
        return self._change(job, JobEvent.RELEASE, job.attempt, {})

    def cancel(self, job: Job) -> "Change":
        """Ask a job to stop: at once while it waits, at its next step while it runs."""
        return self._change(job, JobEvent.CANCEL, None, {})

    def expire(self, job_id: str) -> "Change | None":
        """End a waiting job whose deadline has passed, or ask it to stop where it runs."""
        job = self.get(job_id)
        if job is None:
            self._call("zrem", DEADLINES, job_id)
            return None
        told = DEADLINE_PASSED.error("the time that Cancel-After allowed is over").model_dump(mode="json")
        return self._change(job, JobEvent.EXPIRE, None, {"error": told}, (None, told))

    def _change(
        self,
        job: Job,
        event: JobEvent,
        attempt: int | None,
        changes: dict[str, Any],
        entry: tuple[str | None, dict[str, Any]] = (None, {}),
        only_lapsed: bool = False,
    ) -> "Change":
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
        status = self._run("transition", keys, ask, to_fields(changes)).decode()
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


def member(tenant: str, job_id: str) -> str:
    """How a job is named where its record may be gone."""
    return f"{tenant}:{job_id}"


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
