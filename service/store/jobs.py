"""The job record in Redis, its only truth: one hash a job, every change a Lua script that checks who asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from service.contract.failures import WORKER_LOST
from service.contract.problems import (
    DataRemoved,
    IdempotencyKeyReused,
    ModelDeleted,
    QueueFull,
    QueueUnavailable,
    RequestInFlight,
)
from service.contract.record import Job, JobError, JobKind
from service.contract.settings import Settings
from service.contract.states import JobEvent
from service.store.connections import connect, require_durable
from service.store.idempotency import IdempotencyLock
from service.store.keys import (
    DEADLINES,
    HOLDERS,
    JOB,
    LEASES,
    OWNERS,
    REAPER,
    REAPER_ROUND,
    USAGE,
    WAKEUPS,
    deleted_model_key,
    idempotency_key,
    index_key,
    job_key,
    model_publisher_key,
    model_users_key,
    tenant_key,
)
from service.store.removals import JobRemovals
from service.store.scripts import milliseconds
from service.store.transitions import USUAL, Change, JobTimings, keys_of, member, queue_score, to_fields
from service.store.usage import RECORD_BYTES, UNLIMITED, Limits, require_room

IN_FLIGHT_SECONDS = 60
PUBLISHING_SECONDS = 86_400
DERIVED = {"queue_position", "expected_seconds", "deadline", "removal_begun", "data_removed"}
"""What no record has when it is written."""


def open_job_store(settings: Settings, client: redis.Redis | None = None) -> "JobStore":
    """The store that the settings name, by a connection that waits long for an answer unless another one is given."""
    times = JobTimings(
        retention=settings.job_retention_seconds,
        data_retention=settings.output_retention_seconds,
        lease=settings.lease_seconds,
    )
    durable = settings.redis_durability == "required"
    client = client or connect(settings.redis_url)
    return JobStore(client, times, settings.max_losses, durable, limits_of_tenants(settings))


def limits_of_tenants(settings: Settings) -> Limits:
    """Of each tenant that has none of its own."""
    return Limits(settings.tenant_max_records, settings.tenant_max_record_bytes, settings.tenant_max_stored_bytes)


class JobStore(JobRemovals):
    """Reads and changes job records. Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(
        self,
        client: redis.Redis,
        times: JobTimings = USUAL,
        max_losses: int = 3,
        durable: bool = False,
        limits: Limits = UNLIMITED,
    ) -> None:
        super().__init__(client, times, limits)
        self._max_losses = max_losses
        self._durable = durable

    def claim(self, tenant: str, claim: IdempotencyLock) -> str | None:
        """Lock an idempotency key; returns the id of the job where the same request has made one already.

        Raises:
            IdempotencyKeyReused: the key was given to another request.
            RequestInFlight: the same request is being carried out.
        """
        ask = {
            "fingerprint": claim.fingerprint,
            "nonce": claim.nonce,
            "in_flight_ms": milliseconds(IN_FLIGHT_SECONDS),
            "jobs": JOB,
            "afresh": claim.afresh,
        }
        answer: str = self._run("claim", {"idempotency": idempotency_key(tenant, claim.key)}, ask).decode()
        if answer == "other":
            raise IdempotencyKeyReused(f"the key {claim.key} was used for another request; take a new one")
        if answer == "flight":
            raise RequestInFlight("the same request is being carried out; ask again")
        return None if answer == "new" else answer

    def unclaim(self, tenant: str, claim: IdempotencyLock) -> None:
        """Give up a claim whose request made nothing, so that it may be sent again.

        Where Redis made the job but its answer was lost, the key stands, and the request sent again gets that job.
        """
        self._run("unclaim", {"idempotency": idempotency_key(tenant, claim.key)}, {"nonce": claim.nonce})

    def create(self, job: Job, claim: IdempotencyLock | None = None, earlier: Job | None = None) -> None:
        """Write a queued job, and in the same step that it is what came of the request that claimed a key.

        One that is run again of an `earlier` job has the same input, which stays until the last of both is removed.

        Raises:
            ModelDeleted: its model has been deleted meanwhile.
            QueueFull: as many of the tenant's jobs wait as may.
            QuotaReached: as many of the tenant's records are kept as may be.
            DataRemoved: the earlier job's input has been removed.
            RequestInFlight: the same request, sent again, has made another job meanwhile, or another one has the key.
        """
        record = job.model_dump(mode="json", exclude_none=True, exclude=DERIVED)
        fields = {**to_fields(record), "queued_ms": int(job.created_at.timestamp() * 1000)}
        keys = {
            **keys_of(job),
            "deleted_model": deleted_model_key(job.tenant, job.model),
            "index": index_key(job.tenant),
            "tenant": tenant_key(job.tenant),
            "idempotency": idempotency_key(job.tenant, claim.key if claim else ""),
        }
        ask = {
            "id": job.id,
            "tenant": job.tenant,
            "member": member(job.tenant, job.id),
            "place": queue_score(job),
            "wakeup_ms": milliseconds(self._times.wakeup),
            "idempotency_seconds": claim.seconds if claim else 0,
            "afresh": bool(claim and claim.afresh),
            "fingerprint": claim.fingerprint if claim else "",
            "cancel_after_ms": milliseconds(job.cancel_after_seconds or 0),
            "limits": self._limits.as_asked(),
            "record_bytes": RECORD_BYTES + size_of(fields) + len(claim.key if claim else ""),
        }
        if earlier and earlier.input_key:
            ask |= {"earlier": job_key(earlier.id), "earlier_id": earlier.id, "owner": owner_of(earlier.input_key)}
            ask |= {"holders": HOLDERS, "owners": OWNERS}
        made = self._run("create", keys, ask, fields)
        if made == -1:
            raise ModelDeleted(f"the model {job.model} has been deleted")
        if made == -2:
            retry_after = self._estimates([job])[0].retry_after_seconds
            raise QueueFull("as many jobs wait as may; ask again when some have ended", retry_after)
        if made == -3:
            raise RequestInFlight("the key has been used meanwhile; ask again")
        if made == -4:
            raise DataRemoved(f"the input of {earlier.id if earlier else job.id} has been removed; send it anew")
        if isinstance(made, bytes):
            require_room(made.decode())

    def reap(self, job_id: str) -> Change | None:
        """Put a job whose lease has lapsed back on the queue, or end it after too many losses."""
        job = self.get(job_id)
        if job is None or job.ended:
            self._forget_lease(job_id)
            return None
        return self._lose(job, WORKER_LOST.error("the workers that ran this job died"), only_lapsed=True)

    def lose(self, job: Job, error: JobError) -> Change:
        """Give a job up with which its worker cannot go on: as if its lease had lapsed, at once.

        After too many losses it ends with the error, that of the last.
        """
        known = self.get(job.id)
        # A checkpoint may have forgotten losses since the attempt began.
        losses = known.losses if known else job.losses
        return self._lose(job.model_copy(update={"losses": losses}), error, only_lapsed=False)

    def _lose(self, job: Job, error: JobError, only_lapsed: bool) -> Change:
        losses = {"losses": job.losses + 1}
        if job.losses + 1 < self._max_losses:
            return self._change(job, JobEvent.RELEASE, job.attempt, losses, only_lapsed=only_lapsed)
        told = error.model_dump(mode="json")
        return self._change(job, JobEvent.FAIL, job.attempt, {**losses, "error": told}, (None, told), only_lapsed)

    def lapsed(self, limit: int = 100) -> list[str]:
        """Jobs whose lease has lapsed."""
        return self._past(LEASES, limit)

    def past_deadline(self, limit: int = 100) -> list[str]:
        """Jobs whose deadline has passed and that nobody has asked to stop."""
        return self._past(DEADLINES, limit)

    def due_wakeups(self, limit: int = 100) -> list[tuple[str, JobKind]]:
        """Waiting jobs that the workers may have lost sight of."""
        ask = {"limit": limit, "wakeup_ms": milliseconds(self._times.wakeup), "jobs": JOB}
        found = [each.decode() for each in self._run("due", {"wakeups": WAKEUPS}, ask)]
        return list(zip(found[::2], found[1::2], strict=True))

    def elect_reaper(self, worker: str, seconds: float) -> bool:
        """Whether this worker is the one that reaps for the next seconds."""
        if self._call("set", REAPER, worker, nx=True, px=milliseconds(seconds)):
            return True
        return bool(self._call("get", REAPER) == worker.encode())

    def note_round(self) -> None:
        """Tell that a reaper has looked after every job that needed it."""
        self._call("set", REAPER_ROUND, self._now_ms())

    def delete_model(self, tenant: str, model: str) -> bool:
        """Keep new jobs from a model; False where one that has not ended uses it, or a training publishes it."""
        keys = {
            "model_users": model_users_key(tenant, model),
            "deleted_model": deleted_model_key(tenant, model),
            "model_publisher": model_publisher_key(tenant, model),
        }
        return bool(self._run("delete_model", keys, {"jobs": JOB}) == 1)

    def is_deleted_model(self, tenant: str, model: str) -> bool:
        """Whether a model has been deleted, if not all of its files yet, and not published again."""
        return bool(self._call("exists", deleted_model_key(tenant, model)))

    @contextmanager
    def publishing(self, job: Job, model: str) -> Iterator[None]:
        """Keep a model from being deleted while a running job publishes it, and let jobs use it though it was deleted.

        A job that dies meanwhile no longer runs, which ends this, too.
        """
        publisher = model_publisher_key(job.tenant, model)
        self._call("set", publisher, job.id, ex=PUBLISHING_SECONDS)
        self._call("delete", deleted_model_key(job.tenant, model))
        yield
        self._call("delete", publisher)

    def note_stored(self, job: Job, items: dict[str, int]) -> bool:
        """Count bytes by item in a tenant's usage; False where the job is no longer this attempt's."""
        keys = {"job": job_key(job.id), "usage": USAGE + job.tenant}
        return bool(self._run("note_stored", keys, {"attempt": str(job.attempt), "items": items}) == 1)

    def release_stored(self, tenant: str, item: str) -> None:
        """What was counted for an item is gone."""
        self._run("release_stored", {"usage": USAGE + tenant}, {"item": item})

    def check(self) -> None:
        """Raise `QueueUnavailable` where Redis does not answer, `RedisUnsafe` where it would lose what it is told."""
        try:
            self._redis.ping()
            if self._durable:
                require_durable(self._redis)
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

    def _forget_lease(self, job_id: str) -> None:
        self._call("zrem", LEASES, job_id)


def size_of(fields: dict[str, Any]) -> int:
    """Bytes of a record's fields."""
    return sum(len(str(value).encode()) for value in fields.values())


def owner_of(input_key: str) -> str:
    """The job for which an input was stored: `inputs/<job>/image.png`."""
    return input_key.split("/")[1]


__all__ = ["Change", "JobStore", "JobTimings", "open_job_store"]
