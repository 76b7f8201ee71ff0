"""Reading job records: one, a page of them, what happened to one."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from service.contract.record import REQUESTS, Event, Job, JobKind
from service.contract.requests import FINAL_EVENTS, WEBHOOK_EVENTS
from service.contract.states import JobStatus
from service.store.eta import QueueEstimate, kind_key, workload_key
from service.store.keys import (
    JOB,
    LEASES,
    QUEUE,
    TENANT,
    events_key,
    index_key,
    job_key,
    queue_prefix,
    result_key,
    tenants_key,
    workers_key,
)
from service.store.scripts import Keys, RedisScripts

log = structlog.get_logger()

STRUCTURED = ("input_size", "request", "options", "progress", "training", "output", "error", "metrics")
MAX_EVENTS = 1000
MAX_SCANNED = 500


class RecordUnreadable(Exception):
    """A job's record holds what this version of the service has no sense of."""


class JobQueries:
    """Reads what stands. What reads a job raises `RecordUnreadable`, but a page of jobs leaves such ones out.

    Every method raises `QueueUnavailable` where Redis does not answer, as those of all stores do.
    """

    def __init__(self, scripts: RedisScripts) -> None:
        self._redis = scripts

    def get(self, job_id: str) -> Job | None:
        """The job as it stands; where it waits, with its place in the queue (1 is next) and time to its end."""
        stored, place = self._redis.run("read", {"job": job_key(job_id)}, {"id": job_id, "queues": QUEUE})
        return self._foretold([read_job(stored, place)])[0] if stored else None

    def _foretold(self, jobs: list[Job]) -> list[Job]:
        """The jobs of a tenant, those that wait with the time to their end."""
        seconds: dict[str, int | None] = {}
        waiting = [job for job in jobs if job.queue_position]
        for kind in {job.kind for job in waiting}:
            of_kind = [job for job in waiting if job.kind == kind]
            for job, outlook in zip(of_kind, self.estimates(of_kind), strict=True):
                seconds[job.id] = outlook.until_end(job)
        return [
            job.model_copy(update={"expected_seconds": seconds[job.id]}) if job.id in seconds else job for job in jobs
        ]

    def estimates(self, jobs: list[Job], place: float | None = None) -> list[QueueEstimate]:
        """How things stand before waiting jobs of a tenant and kind, or before one that would be the tenant's next.

        `place` is where one that does not wait would stand in its queue; the first place by default.
        """
        tenant, kind = jobs[0].tenant, jobs[0].kind
        queues = queue_prefix(kind)
        keys: Keys = {
            "queue": queues + tenant,
            "tenants": tenants_key(kind),
            "workers": workers_key(kind),
            "leases": LEASES,
            "kind_times": kind_key(kind),
            "workload_times": [workload_key(job) for job in jobs],
        }
        ids = [job.id for job in jobs]
        prefixes = {"queues": queues, "tenants": TENANT, "jobs": JOB}
        args = {"tenant": tenant, "kind": kind, "ids": ids, "place": place, **prefixes}
        workers, busy, whole, *of_jobs = self._redis.run("queue_estimate", keys, args)
        return [
            QueueEstimate(ahead, workers, busy, number(step), number(beside), number(whole))
            for ahead, step, beside in of_jobs
        ]

    def with_result(self, tenant: str, digest: str) -> Job | None:
        """A job of the tenant whose output is the result of all that a digest is of, and still stands."""
        job_id = self._redis.call("get", result_key(tenant, digest))
        job = self.get(job_id.decode()) if job_id else None
        return job if job and job.output and job.digest == digest else None

    def waits(self, kind: JobKind, tenant: str) -> bool:
        """Whether any job of a tenant waits."""
        return bool(self._redis.call("zcard", queue_prefix(kind) + tenant))

    def events(self, job_id: str, after: str = "0") -> list[Event]:
        """What happened to a job after some event, oldest first."""
        entries = self._redis.call("xrange", events_key(job_id), f"({after}" if after != "0" else "-", "+", MAX_EVENTS)
        return [read_event(entry_id.decode(), fields) for entry_id, fields in entries]

    def page(self, tenant: str, wanted: "JobFilter", cursor: str | None, limit: int) -> "Page":
        """A tenant's jobs that are wanted, in their order; `cursor` is the last id of the page before."""
        before, after = wanted.created_before, wanted.created_after
        args = {
            "newest": f"[{earliest_id(before)}" if before else "+",
            "oldest": f"[{earliest_id(after)}" if after else "-",
            "oldest_first": wanted.oldest_first,
            "status": wanted.status or "",
            "kinds": dict.fromkeys(wanted.kinds, True),
            "limit": limit,
            "most_looked_at": MAX_SCANNED,
            "jobs": JOB,
            "queues": QUEUE,
        }
        if cursor:
            args["oldest" if wanted.oldest_first else "newest"] = f"({cursor}"
        last, *found = self._redis.run("page", {"index": index_key(tenant)}, args)
        return Page(self._foretold(readable(found)), last and last.decode())


@dataclass(frozen=True)
class JobFilter:
    """Which of a tenant's jobs, and in which order; none is any."""

    status: JobStatus | None = None
    kinds: tuple[JobKind, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    oldest_first: bool = False


@dataclass(frozen=True)
class Page:
    """Some jobs, and where the next page begins; None where there is none."""

    jobs: list[Job]
    next_cursor: str | None


def readable(found: list[tuple[list[bytes], int]]) -> list[Job]:
    """The jobs of some records, without those that cannot be read: one such keeps nobody from the others."""
    jobs = []
    for stored, place in found:
        try:
            jobs.append(read_job(stored, place))
        except RecordUnreadable as error:
            log.error("job left out of a list", error=str(error))
    return jobs


def read_job(stored: list[bytes], place: int) -> Job:
    """A job of the fields and values of its hash, and its place in its tenant's queue, 0 where it does not wait.

    What a newer version has added, at whatever depth, is passed over.

    Raises:
        RecordUnreadable: something else about it is unknown here.
    """
    texts = [each.decode() for each in stored]
    fields: dict[str, Any] = dict(zip(texts[::2], texts[1::2], strict=True))
    try:
        for name in STRUCTURED:
            if name in fields:
                fields[name] = json.loads(fields[name])
        if fields["kind"] != "train":
            # Before the photo supplied the detail, what the model makes was the video.
            fields["request"].setdefault("detail", "off")
        # By its kind, since a union of them would take one for another as soon as something is passed over.
        fields["request"] = REQUESTS[fields["kind"]].model_validate(fields["request"], extra="ignore")
        if "options" in fields:
            fields["options"] = without_unknown_events(fields["options"])
        if "deadline_ms" in fields:
            fields["deadline"] = datetime.fromtimestamp(int(fields["deadline_ms"]) / 1000, UTC)
        return Job.model_validate({**fields, "queue_position": place or None}, extra="ignore")
    except (KeyError, ValueError) as error:
        raise RecordUnreadable(f"the record of {fields.get('id')} cannot be read: {error}") from error


def without_unknown_events(options: dict[str, Any]) -> dict[str, Any]:
    """Options without the events that a newer version alone tells of; its scripts do so by the record itself."""
    events = options.get("webhook_events", FINAL_EVENTS)
    return {**options, "webhook_events": [each for each in events if each in WEBHOOK_EVENTS]}


def number(told: bytes | None) -> float | None:
    return None if told is None else float(told)


def earliest_id(moment: datetime) -> str:
    """Before the ids of all jobs that were made at or after a moment; ids sort by their first 48 bits, milliseconds."""
    return f"job_{int(moment.timestamp() * 1000):012x}"


def read_event(entry_id: str, fields: dict[bytes, bytes]) -> Event:
    """An entry of the stream; its id begins with the millisecond at which it was written."""
    at = datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
    return Event(id=entry_id, type=fields[b"type"].decode(), at=at, data=json.loads(fields[b"data"]))
