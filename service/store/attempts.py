"""A worker's attempt at a job: starting it, renewing its lease, reporting, ending it.

The attempt number is the fencing token: a write by an attempt that no longer holds the job changes nothing.
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
from service.contract.states import JobEvent, JobStatus, Writer
from service.store.eta import KEPT_SECONDS, WEIGHT, kind_key, measurement, workload_key
from service.store.keys import (
    EVENTS,
    JOB,
    LEASES,
    PREVIEW,
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
from service.store.scripts import RedisScripts, held_by, milliseconds
from service.store.transitions import Change, JobTimings, JobTransitions, moves_of


class JobAttempts:
    """Begins, renews and ends attempts."""

    def __init__(
        self, scripts: RedisScripts, queries: JobQueries, transitions: JobTransitions, times: JobTimings
    ) -> None:
        self._redis, self._queries, self._transitions, self._times = scripts, queries, transitions, times

    def dequeue(self, kind: JobKind, worker: str, devices: int = 1) -> Job | None:
        """Begin an attempt at the next job, on that many devices, and lease it; None if there is none.

        Tenants share the workers by weight, whatever the lengths of their queues. Jobs past their deadline are expired.

        Raises:
            RecordUnreadable: this version can't read the job, which goes to another worker once its lease has expired.
        """
        now = datetime.now(UTC).isoformat()
        keys = {
            "tenants": tenants_key(kind),
            "virtual_time": virtual_time_key(kind),
            "leases": LEASES,
            "wakeups": WAKEUPS,
            "call": call_key(new_id("")),
        }
        args = {
            "queues": queue_prefix(kind),
            "running": running_prefix(kind),
            "tenants": TENANT,
            "jobs": JOB,
            "events": EVENTS,
            "previews": PREVIEW,
            "lease_ms": milliseconds(self._times.lease),
            "now": now,
            "entry_data": "{}",
            "webhooks": WEBHOOK_NAMES,
            "moves": moves_of(JobEvent.DEQUEUE, kind),
        }
        fields = {"taken_at": now, "worker": worker, "devices": devices}
        while (job_id := self._redis.run("dequeue", keys, args, fields).decode()).startswith("!"):
            self._expire(job_id[1:])
        return self._queries.get(job_id) if job_id else None

    def renew(self, job: Job) -> JobStatus | None:
        """Renew the lease and return the job's status; None if the attempt no longer holds the job."""
        args = {**held_by(job), "id": job.id, "lease_ms": milliseconds(self._times.lease)}
        status = self._redis.run("renew", {"job": job_key(job.id), "leases": LEASES}, args).decode()
        return JobStatus(status) if status else None

    def leave_device(self, job: Job) -> JobStatus | None:
        """End the time that counts as the attempt's on its device; returns the status as `renew` does."""
        return self._of_device(job, "leave_device")

    def return_to_device(self, job: Job) -> JobStatus | None:
        """Don't count the time since the attempt left its device, if it has; returns the status as `renew` does."""
        return self._of_device(job, "return_to_device")

    def _of_device(self, job: Job, script: str) -> JobStatus | None:
        status = self._redis.run(script, {"job": job_key(job.id)}, held_by(job)).decode()
        return JobStatus(status) if status else None

    def report_progress(self, job: Job, progress: Progress) -> Change:
        """Record the attempt's progress."""
        data = progress.model_dump(mode="json")
        return self._transitions.change(job, JobEvent.PROGRESS, Writer.HOLDER, {"progress": data}, ("progress", data))

    def report_training(self, job: Job, training: Training, kind: str, data: dict[str, Any]) -> Change:
        """Record what a training job has stored, and an event of this `kind`.

        A checkpoint resets the losses, so that lost workers don't add up over days.
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
        occupied_ms: int | None = None,
    ) -> Change:
        """End a job with its output, or as canceled if its cancellation has been requested.

        `digest` identifies all inputs of the output, so that an equal job can reuse it; `reused_from` is the job whose
        output this is. `occupied_ms` is how long the job kept the next one from starting, by default until its end.
        """
        changes: dict[str, Any] = {
            "output": output.model_dump(mode="json"),
            "metrics": metrics.model_dump(mode="json"),
            **({"digest": digest} if digest else {}),
            **({"reused_from": reused_from} if reused_from else {}),
        }
        ended = self._transitions.change(job, JobEvent.SUCCEED, Writer.HOLDER, changes)
        if ended.status is JobStatus.SUCCEEDED:
            self._learn(job, metrics, digest, occupied_ms, measured=ended.happened and not reused_from)
        return ended

    def _learn(
        self, job: Job, metrics: JobMetrics, digest: str | None, occupied_ms: int | None, measured: bool
    ) -> None:
        """Record what a succeeded job means for others: its durations, and its output for equal jobs."""
        times = measurement(job, metrics, occupied_ms) if measured else None
        if times:
            keys = {"workload_times": workload_key(job), "kind_times": kind_key(job.kind)}
            self._redis.run("measure", keys, {**vars(times), "weight": WEIGHT, "kept_seconds": KEPT_SECONDS})
        if digest:
            seconds = min(self._times.data_retention, self._times.retention)
            keys = {"job": job_key(job.id), "result": result_key(job.tenant, digest)}
            self._redis.run("remember", keys, {"id": job.id, "digest": digest, "seconds": seconds})

    def fail(self, job: Job, error: JobError, metrics: JobMetrics | None = None) -> Change:
        """End a job with an error, or as canceled if its cancellation has been requested."""
        failure = error.model_dump(mode="json")
        changes: dict[str, Any] = {"error": failure}
        if metrics is not None:
            changes["metrics"] = metrics.model_dump(mode="json")
        return self._transitions.change(job, JobEvent.FAIL, Writer.HOLDER, changes, (None, failure))

    def release(self, job: Job) -> Change:
        """Return a job to the queue without counting a loss; a job whose cancellation was requested ends."""
        return self._transitions.change(job, JobEvent.RELEASE, Writer.HOLDER)

    def lose(self, job: Job, error: JobError) -> Change:
        """Give up a job that its worker can't continue, as if its lease had expired.

        After too many losses it ends with this error.
        """
        known = self._queries.get(job.id)
        # A checkpoint may have reset the losses since the attempt began.
        losses = known.losses if known else job.losses
        return self._transitions.lose(job.model_copy(update={"losses": losses}), error, Writer.HOLDER)

    def _expire(self, job_id: str) -> None:
        job = self._queries.get(job_id)
        if job:
            self._transitions.expire(job, Writer.WORKER)
