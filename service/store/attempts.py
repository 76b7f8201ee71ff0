"""What a worker does to the job that it holds: it takes it, renews its lease, reports, and ends the attempt.

The attempt number is the fencing token: a write by an attempt that has been overtaken changes nothing.
"""

from datetime import UTC, datetime
from typing import Any

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
from service.contract.states import HELD, JobEvent, JobStatus, Writer
from service.store.eta import KEPT_SECONDS, WEIGHT, kind_key, measurement, workload_key
from service.store.keys import (
    EVENTS,
    JOB,
    LEASES,
    TENANT,
    WAKEUPS,
    WEBHOOK_NAMES,
    call_key,
    job_key,
    queue_prefix,
    result_key,
    running_prefix,
    tenants_key,
    virtual_time_key,
)
from service.store.queries import JobQueries
from service.store.scripts import RedisScripts, milliseconds
from service.store.transitions import Change, JobTimings, JobTransitions


class JobAttempts:
    """Begins, keeps and ends attempts."""

    def __init__(
        self, scripts: RedisScripts, queries: JobQueries, transitions: JobTransitions, times: JobTimings
    ) -> None:
        self._redis, self._queries, self._transitions, self._times = scripts, queries, transitions, times

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
        while (job_id := self._redis.run("dequeue", keys, ask).decode()).startswith("!"):
            self._expire(job_id[1:])
        return self._queries.get(job_id) if job_id else None

    def renew(self, job: Job) -> JobStatus | None:
        """Keep the lease for its full time from now; None where the attempt no longer holds the job."""
        ask = {
            "id": job.id,
            "attempt": str(job.attempt),
            "held": dict.fromkeys(HELD, True),
            "lease_ms": milliseconds(self._times.lease),
        }
        status = self._redis.run("renew", {"job": job_key(job.id), "leases": LEASES}, ask).decode()
        return JobStatus(status) if status else None

    def report_progress(self, job: Job, progress: Progress) -> Change:
        """Record how far the attempt is."""
        data = progress.model_dump(mode="json")
        return self._transitions.change(job, JobEvent.PROGRESS, Writer.HOLDER, {"progress": data}, ("progress", data))

    def report_training(self, job: Job, training: Training, kind: str, data: dict[str, Any]) -> Change:
        """Record what a training left in the storage, and that `kind` of it is new.

        A checkpoint forgets earlier losses: workers that die between two of them do not add up over days.
        """
        changes: dict[str, Any] = {"training": training.model_dump(mode="json")}
        if kind == "checkpoint":
            changes["losses"] = 0
        return self._transitions.change(job, JobEvent.PROGRESS, Writer.HOLDER, changes, (kind, data))

    def succeed(
        self,
        job: Job,
        output: JobOutput | ModelOutput,
        metrics: JobMetrics,
        digest: str | None = None,
        reused_from: str | None = None,
    ) -> Change:
        """End a job with its output; as canceled where that was asked for meanwhile.

        By the digest of all that the output follows from it is found again; it may itself be that of an earlier job.
        """
        changes: dict[str, Any] = {
            "output": output.model_dump(mode="json"),
            "metrics": metrics.model_dump(mode="json"),
            **({"digest": digest} if digest else {}),
            **({"reused_from": reused_from} if reused_from else {}),
        }
        ended = self._transitions.change(job, JobEvent.SUCCEED, Writer.HOLDER, changes)
        if ended.status is JobStatus.SUCCEEDED:
            self._learn(job, metrics, digest, measured=ended.happened and not reused_from)
        return ended

    def _learn(self, job: Job, metrics: JobMetrics, digest: str | None, measured: bool) -> None:
        """Keep what a job that has succeeded says of others: what they take, and what an equal one is to be given."""
        times = measurement(job, metrics) if measured else None
        if times:
            keys = {"workload_times": workload_key(job), "kind_times": kind_key(job.kind)}
            self._redis.run("measure", keys, {**vars(times), "weight": WEIGHT, "kept_seconds": KEPT_SECONDS})
        if digest:
            seconds = min(self._times.data_retention, self._times.retention)
            keys = {"job": job_key(job.id), "result": result_key(job.tenant, digest)}
            self._redis.run("remember", keys, {"id": job.id, "digest": digest, "seconds": seconds})

    def fail(self, job: Job, error: JobError, metrics: JobMetrics | None = None) -> Change:
        """End a job with an error; as canceled where that was asked for meanwhile."""
        told = error.model_dump(mode="json")
        changes: dict[str, Any] = {"error": told}
        if metrics is not None:
            changes["metrics"] = metrics.model_dump(mode="json")
        return self._transitions.change(job, JobEvent.FAIL, Writer.HOLDER, changes, (None, told))

    def release(self, job: Job) -> Change:
        """Hand a job back to the queue, which counts as no loss; it ends here where it was asked to."""
        return self._transitions.change(job, JobEvent.RELEASE, Writer.HOLDER)

    def lose(self, job: Job, error: JobError) -> Change:
        """Give a job up with which its worker cannot go on: as if its lease had lapsed, at once.

        After too many losses it ends with the error, that of the last.
        """
        known = self._queries.get(job.id)
        # A checkpoint may have forgotten losses since the attempt began.
        losses = known.losses if known else job.losses
        return self._transitions.lose(job.model_copy(update={"losses": losses}), error, Writer.HOLDER)

    def _expire(self, job_id: str) -> None:
        job = self._queries.get(job_id)
        if job:
            self._transitions.expire(job, Writer.WORKER)
