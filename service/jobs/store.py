"""The job record in Redis, its only truth: one hash a job, every change a Lua script that checks who asks.

The attempt number is the fencing token: a write by an attempt that has been overtaken changes nothing.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import redis

from service.connections import connect, require_durable
from service.errors import IdempotencyKeyReused, ModelDeleted, QueueFull, QueueUnavailable, RequestInFlight
from service.jobs.keys import (
    EVENTS,
    HINTS,
    JOB,
    LEASES,
    REAPER,
    TENANT,
    deleted_model_key,
    events_key,
    idempotency_key,
    index_key,
    job_key,
    line_prefix,
    model_users_key,
    running_prefix,
    tenant_key,
    tenants_key,
    virtual_time_key,
)
from service.jobs.model import (
    Event,
    Job,
    JobError,
    JobKind,
    JobMetrics,
    JobOutput,
    ModelOutput,
    Progress,
    Training,
)
from service.jobs.states import TRANSITIONS, JobEvent, JobStatus
from service.settings import Settings

STRUCTURED = ("request", "options", "progress", "training", "output", "error", "metrics")
LOST = JobError(code="WORKER.LOST", message="the workers that ran this job died", retryable=True)
MAX_EVENTS = 1000
MAX_SCANNED = 500
IDEMPOTENCY_SECONDS = 86_400
IN_FLIGHT_SECONDS = 60
SCRIPTS = ("claim", "create", "take", "transition", "renew", "due", "delete_model")


@dataclass(frozen=True)
class Times:
    """How long things are kept, in seconds."""

    retention: int = 7 * 86_400
    lease: float = 20
    hint: float = 30


def lua(name: str) -> str:
    return resources.files("service.jobs").joinpath("lua", f"{name}.lua").read_text()


def open_job_store(settings: Settings) -> "JobStore":
    """The store that the settings name."""
    times = Times(retention=settings.job_retention_seconds, lease=settings.lease_seconds)
    durable = settings.redis_durability == "required"
    return JobStore(connect(settings.redis_url), times, settings.max_losses, durable)


class JobStore:
    """Reads and changes job records. Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(self, client: redis.Redis, times: Times = Times(), max_losses: int = 3, durable: bool = False) -> None:
        self._redis = client
        self._times = times
        self._max_losses = max_losses
        self._durable = durable
        self._scripts = {name: client.register_script(lua(name)) for name in SCRIPTS}

    def claim(self, tenant: str, key: str, fingerprint: str) -> str | None:
        """Claim an idempotency key; returns the id of the job where the same request has made one already.

        Raises:
            IdempotencyKeyReused: the key was given to another request.
            RequestInFlight: the same request is being carried out.
        """
        arguments = [fingerprint, milliseconds(IN_FLIGHT_SECONDS)]
        answer: str = self._run("claim", [idempotency_key(tenant, key)], arguments).decode()
        if answer == "other":
            raise IdempotencyKeyReused(f"the key {key} was used for another request; take a new one")
        if answer == "flight":
            raise RequestInFlight("the same request is being carried out; ask again")
        return None if answer == "new" else answer

    def unclaim(self, tenant: str, key: str) -> None:
        """Forget a key whose request made nothing, so that it may be sent again."""
        self._call("delete", idempotency_key(tenant, key))

    def create(self, job: Job, key: str | None = None) -> None:
        """Write a queued job, and in the same step that it is what came of the request with an idempotency key.

        Raises:
            ModelDeleted: its model has been deleted meanwhile.
            QueueFull: as many of the tenant's jobs wait as may.
        """
        record = job.model_dump(mode="json", exclude_none=True, exclude={"queue_position"})
        place = job.created_at.timestamp()
        fields = {**to_fields(record), "queued_ms": int(place * 1000)}
        keys = [
            *self._keys(job),
            deleted_model_key(job.tenant, job.model),
            index_key(job.tenant),
            tenants_key(job.kind),
            virtual_time_key(job.kind),
            tenant_key(job.tenant),
            idempotency_key(job.tenant, key or ""),
        ]
        about = {
            "id": job.id,
            "tenant": job.tenant,
            "place": place,
            "hint_ms": milliseconds(self._times.hint),
            "idempotency_seconds": IDEMPOTENCY_SECONDS if key else 0,
        }
        made = self._run("create", keys, [json.dumps(about), *flatten(fields)])
        if made == -1:
            raise ModelDeleted(f"the model {job.model} has been deleted")
        if made == -2:
            raise QueueFull("as many jobs wait as may; ask again when some have ended", retry_after=30)

    def get(self, job_id: str) -> Job | None:
        """The job as it stands, with its place in its tenant's line while it waits (1 is next)."""
        stored = self._call("hgetall", job_key(job_id))
        if not stored:
            return None
        fields = {name.decode(): value.decode() for name, value in stored.items()}
        known: dict[str, Any] = {name: value for name, value in fields.items() if name in Job.model_fields}
        for name in STRUCTURED:
            if name in known:
                known[name] = json.loads(known[name])
        rank = None
        if known["status"] == JobStatus.QUEUED:
            rank = self._call("zrank", line_prefix(known["kind"]) + known["tenant"], job_id)
        return Job.model_validate({**known, "queue_position": None if rank is None else rank + 1})

    def take(self, kind: JobKind, worker: str) -> Job | None:
        """Begin an attempt at the job that is next, under a lease; None where there is nothing to take.

        Tenants share the workers by their weights, however long their lines are.
        """
        keys = [tenants_key(kind), virtual_time_key(kind), LEASES, HINTS]
        ask = {
            "lines": line_prefix(kind),
            "running": running_prefix(kind),
            "tenants": TENANT,
            "jobs": JOB,
            "events": EVENTS,
            "lease_ms": milliseconds(self._times.lease),
            "taken_at": datetime.now(UTC).isoformat(),
            "worker": worker,
        }
        job_id = self._run("take", keys, [json.dumps(ask)]).decode()
        return self.get(job_id) if job_id else None

    def waits(self, kind: JobKind, tenant: str) -> bool:
        """Whether a tenant has a line."""
        return bool(self._call("zcard", line_prefix(kind) + tenant))

    def renew(self, job: Job) -> JobStatus | None:
        """Keep the lease for its full time from now; None where the attempt no longer holds the job."""
        arguments = [job.id, job.attempt, milliseconds(self._times.lease)]
        status = self._run("renew", [job_key(job.id), LEASES], arguments).decode()
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

    def succeed(self, job: Job, output: JobOutput | ModelOutput, metrics: JobMetrics) -> "Change":
        """End a job with its output; as canceled where that was asked for meanwhile."""
        changes = {"output": output.model_dump(mode="json"), "metrics": metrics.model_dump(mode="json")}
        return self._change(job, JobEvent.SUCCEED, job.attempt, changes)

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

    def reap(self, job_id: str) -> "Change | None":
        """Put a job whose lease has lapsed back on the queue, or end it after too many losses."""
        job = self.get(job_id)
        if job is None or job.ended:
            self._forget_lease(job_id)
            return None
        losses = {"losses": job.losses + 1}
        if job.losses + 1 < self._max_losses:
            return self._change(job, JobEvent.RELEASE, job.attempt, losses, only_lapsed=True)
        told = LOST.model_dump(mode="json")
        return self._change(job, JobEvent.FAIL, job.attempt, {**losses, "error": told}, (None, told), only_lapsed=True)

    def lapsed(self, limit: int = 100) -> list[str]:
        """Jobs whose lease has lapsed."""
        seconds, microseconds = self._call("time")
        now = seconds * 1000 + microseconds // 1000
        return [job_id.decode() for job_id in self._call("zrangebyscore", LEASES, "-inf", now, 0, limit)]

    def due_hints(self, limit: int = 100) -> list[tuple[str, JobKind]]:
        """Waiting jobs that the workers may have lost sight of."""
        found = [each.decode() for each in self._run("due", [HINTS], [limit, milliseconds(self._times.hint), JOB])]
        return list(zip(found[::2], found[1::2], strict=True))

    def elect_reaper(self, worker: str, seconds: float) -> bool:
        """Whether this worker is the one that reaps for the next seconds."""
        if self._call("set", REAPER, worker, nx=True, px=milliseconds(seconds)):
            return True
        return bool(self._call("get", REAPER) == worker.encode())

    def events(self, job_id: str, after: str = "0") -> list[Event]:
        """What happened to a job after some event, oldest first."""
        entries = self._call("xrange", events_key(job_id), f"({after}" if after != "0" else "-", "+", MAX_EVENTS)
        return [read_event(entry_id.decode(), fields) for entry_id, fields in entries]

    def delete_model(self, tenant: str, model: str) -> bool:
        """Keep new jobs from a model; False where one that has not ended uses it."""
        keys = [model_users_key(tenant, model), deleted_model_key(tenant, model)]
        return bool(self._run("delete_model", keys, [JOB]) == 1)

    def page(
        self,
        tenant: str,
        created_after: datetime | None,
        created_before: datetime | None,
        cursor: str | None,
        limit: int,
        wanted: Callable[[Job], bool],
    ) -> "Page":
        """A tenant's jobs that are wanted, the newest first; `cursor` is the last id of the page before."""
        newest = f"({cursor}" if cursor else f"[{earliest_id(created_before)}" if created_before else "+"
        oldest = f"[{earliest_id(created_after)}" if created_after else "-"
        ids = [
            each.decode() for each in self._call("zrevrangebylex", index_key(tenant), newest, oldest, 0, MAX_SCANNED)
        ]
        found: list[Job] = []
        for job_id in ids:
            job = self.get(job_id)
            if job is None:
                self._call("zrem", index_key(tenant), job_id)
            elif wanted(job):
                found.append(job)
            if len(found) == limit:
                return Page(found, job_id if job_id != ids[-1] or len(ids) == MAX_SCANNED else None)
        return Page(found, ids[-1] if len(ids) == MAX_SCANNED else None)

    def allow_model(self, tenant: str, model: str) -> None:
        """Let new jobs use a model that was deleted and is published again."""
        self._call("delete", deleted_model_key(tenant, model))

    def check(self) -> None:
        """Raise `QueueUnavailable` where Redis does not answer, `RedisUnsafe` where it would lose what it is told."""
        try:
            self._redis.ping()
            if self._durable:
                require_durable(self._redis)
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

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
            "moves": moves,
            "only_lapsed": only_lapsed,
            "lease_ms": milliseconds(self._times.lease),
            "place": job.created_at.timestamp(),
            "hint_ms": milliseconds(0 if only_lapsed or event is JobEvent.RELEASE else self._times.hint),
            "now": now.isoformat(),
            "expires_at": expires_at.isoformat(),
            "expires_unix": int(expires_at.timestamp()),
            "entry_data": json.dumps(entry_data),
        }
        # What is left out is nil there; a null would be a value that is true.
        if attempt is not None:
            ask["attempt"] = str(attempt)
        if entry_type is not None:
            ask["entry_type"] = entry_type
        keys = [
            *self._keys(job),
            LEASES,
            running_prefix(job.kind) + job.tenant,
            tenants_key(job.kind),
            virtual_time_key(job.kind),
        ]
        fields = flatten(to_fields(changes))
        status = self._run("transition", keys, [json.dumps(ask), *fields]).decode()
        return Change(status != "" and not status.startswith("="), JobStatus(status.lstrip("=")) if status else None)

    def _keys(self, job: Job) -> list[str]:
        line = line_prefix(job.kind) + job.tenant
        return [job_key(job.id), line, HINTS, events_key(job.id), model_users_key(job.tenant, job.model)]

    def _forget_lease(self, job_id: str) -> None:
        self._call("zrem", LEASES, job_id)

    def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        try:
            return self._scripts[script](keys=keys, args=arguments)
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

    def _call(self, command: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._redis, command)(*arguments, **options)
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error


@dataclass(frozen=True)
class Change:
    """Whether a change happened, and the state that the job is in now; None where there is no such job."""

    happened: bool
    status: JobStatus | None


@dataclass(frozen=True)
class Page:
    """Some jobs, and where the next page begins; None where there is none."""

    jobs: list[Job]
    next_cursor: str | None


def earliest_id(moment: datetime) -> str:
    """Before the ids of all jobs that were made at or after a moment; ids sort by their first 48 bits, milliseconds."""
    return f"job_{int(moment.timestamp() * 1000):012x}"


def read_event(entry_id: str, fields: dict[bytes, bytes]) -> Event:
    """An entry of the stream; its id begins with the millisecond at which it was written."""
    at = datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
    return Event(id=entry_id, type=fields[b"type"].decode(), at=at, data=json.loads(fields[b"data"]))


def to_fields(record: dict[str, Any]) -> dict[str, Any]:
    """Hash fields of a record: structured members as JSON."""
    return {name: json.dumps(value) if name in STRUCTURED else value for name, value in record.items()}


def flatten(fields: dict[str, Any]) -> list[Any]:
    return [item for pair in fields.items() for item in pair]


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
