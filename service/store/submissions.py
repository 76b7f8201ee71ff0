"""How a request becomes a job: its idempotency key is claimed, its ID announced, then its record created."""

from typing import Any

from service.contract.budgets import spent
from service.contract.problems import DataRemoved, IdempotencyKeyReused, ModelDeleted, QueueFull, RequestInFlight
from service.contract.record import JOB_PREFIX, Job, random_digits
from service.contract.storage_keys import input_owner
from service.store.eta import QueueEstimate, workload_key
from service.store.idempotency import IdempotencyLock
from service.store.keys import (
    AUDIT,
    COUNTERS,
    ESTIMATE_NAMES,
    HOLDERS,
    JOB,
    KEPT,
    OWNERS,
    REMOVALS,
    USED_MONTHS,
    deleted_model_key,
    idempotency_key,
    index_key,
    job_key,
    member,
    model_users_key,
    queue_prefix,
    tenant_key,
)
from service.store.queries import JobQueries, parse_estimates
from service.store.quotas import RECORD_BYTES, Limits, require_room
from service.store.scripts import RedisScripts, flatten, milliseconds, time_of
from service.store.transitions import JobTimings, keys_of, queue_score, to_fields

ANNOUNCED_SECONDS = 3600
"""Longer than any request takes from its first stored byte to its job's record."""
IN_FLIGHT_SECONDS = 60
DERIVED = {"queue_position", "expected_seconds", "deadline", "removal_begun", "data_removed"}
"""Fields that a new record does not have."""


class JobSubmissions:
    """Creates jobs."""

    def __init__(self, scripts: RedisScripts, queries: JobQueries, times: JobTimings, limits: Limits) -> None:
        self._redis, self._queries = scripts, queries
        self._times, self._limits = times, limits

    def announce(self, tenant: str, stored_bytes: int = 0) -> str:
        """Return the id of a future job; its stored input is deleted after `ANNOUNCED_SECONDS` unless it is created.

        The id contains the time on Redis' clock, which all APIs share, because jobs are queued and listed by it.

        Raises:
            QuotaReached: the tenant may not store another job, or that many bytes.
            BudgetSpent: the tenant's budget for the month is used up.
        """
        args = {
            "prefix": JOB_PREFIX,
            "suffix": random_digits(),
            "wait_ms": milliseconds(ANNOUNCED_SECONDS),
            "stored_bytes": stored_bytes,
            **self._limits_of(tenant),
        }
        keys = {"removals": REMOVALS, "kept": KEPT + tenant, "tenant": tenant_key(tenant)}
        full, job_id = self._redis.run("announce", keys, args)
        self._require_room(full.decode())
        return str(job_id.decode())

    def claim(self, tenant: str, claim: IdempotencyLock) -> str | None:
        """Lock an idempotency key; returns a job's id if the same request has already created one.

        Raises:
            IdempotencyKeyReused: the key belongs to a different request.
            RequestInFlight: the same request is in progress.
        """
        args = {
            "fingerprint": claim.fingerprint,
            "nonce": claim.nonce,
            "in_flight_ms": milliseconds(IN_FLIGHT_SECONDS),
            "jobs": JOB,
            "afresh": claim.afresh,
        }
        answer: str = self._redis.run("claim", {"idempotency": idempotency_key(tenant, claim.key)}, args).decode()
        if answer == "other":
            raise IdempotencyKeyReused(f"the key {claim.key} was used for another request; use a new one")
        if answer == "flight":
            raise RequestInFlight("the same request is in progress; try again")
        return None if answer == "new" else answer

    def unclaim(self, tenant: str, claim: IdempotencyLock) -> None:
        """Release the lock of a request that failed, so that it can be repeated.

        If Redis created the job but its response was lost, the key remains, and a repeated request gets that job.
        """
        self._redis.run("unclaim", {"idempotency": idempotency_key(tenant, claim.key)}, {"nonce": claim.nonce})

    def create(
        self,
        job: Job,
        claim: IdempotencyLock | None = None,
        earlier: Job | None = None,
        decision: dict[str, Any] | None = None,
        wake_up: dict[str, str] | None = None,
    ) -> Job:
        """Create a queued job, and bind it to the request's idempotency key in the same step.

        Returns the job as `JobQueries.get` would, without reading it.

        A rerun of an `earlier` job shares its input, which is kept until both are removed. `decision` is that of the
        operator's policy, as returned by `AuditLog.arguments`. `wake_up`, as returned by `queue.wake_up`, notifies the
        workers in the same step; their broker must be this Redis.

        Raises:
            ModelDeleted: its model has been deleted in the meantime.
            QueueFull: the tenant has reached its limit of queued jobs.
            QuotaReached: the tenant has reached its limit of records.
            BudgetSpent: the tenant's budget for the month is used up.
            DataRemoved: the earlier job's input has been removed.
            RequestInFlight: a repetition of this request has created another job, or another request has the key.
        """
        fields = fields_of(job)
        keys = {
            **keys_of(job),
            "model_marks": model_marks(job),
            "index": index_key(job.tenant),
            "tenant": tenant_key(job.tenant),
            "idempotency": idempotency_key(job.tenant, claim.key if claim else ""),
            "audit": AUDIT,
            "counters": COUNTERS,
        }
        args = {
            "id": job.id,
            "kind": job.kind,
            "workload": fields["workload"],
            "names": ESTIMATE_NAMES,
            "member": member(job.tenant, job.id),
            "place": queue_score(job),
            "wakeup_ms": milliseconds(self._times.wakeup),
            "idempotency_seconds": claim.seconds if claim else 0,
            "afresh": bool(claim and claim.afresh),
            "fingerprint": claim.fingerprint if claim else "",
            "cancel_after_ms": milliseconds(job.cancel_after_seconds or 0),
            "record_bytes": RECORD_BYTES + size_of(fields) + len(claim.key if claim else ""),
            "policy": decision,
            "wake_up": wake_up,
            # In one argument, as the client takes longer to write forty.
            "record": [str(each) for each in flatten(fields)],
            **self._limits_of(job.tenant),
            **shared_input(earlier),
        }
        answer = self._redis.run("create", keys, args)
        if isinstance(answer, list):
            position, facts, deadline_ms = answer
            seconds = parse_estimates(facts)[0].until_end(job)
            deadline = time_of(deadline_ms) if deadline_ms else None
            return job.model_copy(
                update={"queue_position": position, "expected_seconds": seconds, "deadline": deadline}
            )
        if answer == b"key":
            raise RequestInFlight("the key has been used in the meantime; try again")
        self._require_admission(answer.decode(), job, earlier)
        # This call was repeated, as the response to it had been lost.
        return self._queries.get(job.id) or job

    def check(self, job: Job, input_bytes: int, earlier: Job | None = None) -> QueueEstimate:
        """Raise what `announce` and `create` would raise for a job with an input of that size, but write nothing.

        Returns the estimate for the job if it were created now.
        """
        keys = {
            "queue": queue_prefix(job.kind) + job.tenant,
            "model_marks": model_marks(job),
            "tenant": tenant_key(job.tenant),
            "kept": KEPT + job.tenant,
        }
        args = {
            "record_bytes": RECORD_BYTES + size_of(fields_of(job)),
            "stored_bytes": input_bytes,
            **self._limits_of(job.tenant),
            **shared_input(earlier),
        }
        self._require_admission(self._redis.run("admit", keys, args).decode(), job, earlier)
        return self._queries.estimates([job], queue_score(job))[0]

    def _require_admission(self, refusal: str, job: Job, earlier: Job | None) -> None:
        """Raise the problem for a script's refusal; empty means accepted."""
        if refusal == "model":
            raise ModelDeleted(f"a model of the job has been deleted: {' or '.join(job.models)}")
        if refusal == "queue":
            retry_after = self._queries.estimates([job])[0].retry_after_seconds
            raise QueueFull("the queue is full; try again when some jobs have ended", retry_after)
        if refusal == "input":
            raise DataRemoved(f"the input of {earlier.id if earlier else job.id} has been removed; send it again")
        self._require_room(refusal)

    def _limits_of(self, tenant: str) -> dict[str, Any]:
        """Arguments of the scripts for a tenant's limits."""
        return {"tenant": tenant, "limits": self._limits.as_arguments(), "months": USED_MONTHS}

    def _require_room(self, full: str) -> None:
        """Raise the problem if a script has named a limit or the budget."""
        if full == "budget":
            raise spent(self._redis.now())
        require_room(full)


def model_marks(job: Job) -> list[str]:
    """For each model that the job uses, the keys of its users and of the mark that it has been deleted."""
    marks = (model_users_key, deleted_model_key)
    return [key(job.tenant, model) for model in job.models for key in marks]


def fields_of(job: Job) -> dict[str, Any]:
    """Hash fields of a new job."""
    record = job.model_dump(mode="json", exclude_none=True, exclude=DERIVED)
    queued_ms = int(job.created_at.timestamp() * 1000)
    return {**to_fields(record), "queued_ms": queued_ms, "workload": workload_key(job)}


def shared_input(earlier: Job | None) -> dict[str, str]:
    """Arguments of the scripts for an earlier job whose input a new one shares."""
    if earlier is None or earlier.input_key is None:
        return {}
    owner = input_owner(earlier.input_key)
    held = {"earlier": job_key(earlier.id), "earlier_id": earlier.id, "owner": owner}
    return {**held, "holders": HOLDERS, "owners": OWNERS}


def size_of(fields: dict[str, Any]) -> int:
    """Size of a record's fields in bytes."""
    return sum(len(str(value).encode()) for value in fields.values())
