"""Reads job records, pages of them, and the events of a job."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import structlog

from service.contract.record import REQUESTS, Event, Job, JobKind, earliest_job_id
from service.contract.requests import FINAL_EVENTS, WEBHOOK_EVENTS
from service.contract.states import JobStatus
from service.store.eta import QueueEstimate, workload_key
from service.store.keys import (
    ESTIMATE_NAMES,
    JOB,
    KEYS,
    QUEUE,
    events_key,
    index_key,
    job_key,
    queue_prefix,
    result_key,
)
from service.store.scripts import Keys, RedisScripts, entry_time, time_of

log = structlog.get_logger()

STRUCTURED = ("input_size", "request", "options", "progress", "training", "output", "error", "metrics")
MAX_EVENTS = 1000
MAX_SCANNED = 500
MAX_PAGE_BYTES = 1024 * 1024
"""A page ends with the job that exceeds this: a hundred ordinary records have half of it, but one with sixteen long
prompts has a sixth, and Redis serves nobody else while it reads them."""


class RecordUnreadable(Exception):
    """A job's record contains something that this version of the service does not know."""


class JobQueries:
    """Reads jobs. Reading a single job may raise `RecordUnreadable`; a page skips such jobs.

    Every method raises `QueueUnavailable` if Redis is unavailable, as in all stores.
    """

    def __init__(self, scripts: RedisScripts) -> None:
        self._redis = scripts

    def get(self, job_id: str) -> Job | None:
        """The job; if it is queued, with its position in the queue (1 is next) and the expected time to its end."""
        _, job = parse_reply(self._redis.run("read", *read_request(job_id)))
        return job

    def _with_estimates(self, jobs: list[Job]) -> list[Job]:
        """A tenant's jobs, queued ones with the expected time to their end."""
        seconds: dict[str, int | None] = {}
        waiting = [job for job in jobs if job.queue_position]
        for kind in {job.kind for job in waiting}:
            of_kind = [job for job in waiting if job.kind == kind]
            for job, estimate in zip(of_kind, self.estimates(of_kind), strict=True):
                seconds[job.id] = estimate.until_end(job)
        return [
            job.model_copy(update={"expected_seconds": seconds[job.id]}) if job.id in seconds else job for job in jobs
        ]

    def estimates(self, jobs: list[Job], place: float | None = None) -> list[QueueEstimate]:
        """Estimates for queued jobs of a tenant and kind, or for a job that is not queued yet.

        `place` is the score that a job which is not queued would get; by default, it would be the next.
        """
        args = {
            "tenant": jobs[0].tenant,
            "kind": jobs[0].kind,
            "ids": [job.id for job in jobs],
            "place": place,
            "names": ESTIMATE_NAMES,
        }
        keys: Keys = {"workload_times": [workload_key(job) for job in jobs]}
        return parse_estimates(self._redis.run("queue_estimate", keys, args))

    def with_result(self, tenant: str, digest: str) -> Job | None:
        """The tenant's job with the output for a digest of inputs, if that output still exists."""
        job_id = self._redis.call("get", result_key(tenant, digest))
        job = self.get(job_id.decode()) if job_id else None
        return job if job and job.output and job.digest == digest else None

    def waits(self, kind: JobKind, tenant: str) -> bool:
        """Whether a tenant has queued jobs."""
        return bool(self._redis.call("zcard", queue_prefix(kind) + tenant))

    def events(self, job_id: str, after: str = "0") -> list[Event]:
        """A job's events after a given one, oldest first."""
        entries = self._redis.call("xrange", events_key(job_id), f"({after}" if after != "0" else "-", "+", MAX_EVENTS)
        return [read_event(entry_id.decode(), fields) for entry_id, fields in entries]

    def page(self, tenant: str, job_filter: "JobFilter", cursor: str | None, limit: int) -> "Page":
        """A page of a tenant's jobs that match a filter; `cursor` is the last id of the previous page.

        It has fewer than `limit` jobs if many had to be examined or if their records are large.
        """
        before, after = job_filter.created_before, job_filter.created_after
        args = {
            "newest": f"[{earliest_job_id(before)}" if before else "+",
            "oldest": f"[{earliest_job_id(after)}" if after else "-",
            "oldest_first": job_filter.oldest_first,
            "status": job_filter.status or "",
            "kinds": dict.fromkeys(job_filter.kinds, True),
            "limit": limit,
            "max_scanned": MAX_SCANNED,
            "max_bytes": MAX_PAGE_BYTES,
            "jobs": JOB,
            "queues": QUEUE,
        }
        if cursor:
            args["oldest" if job_filter.oldest_first else "newest"] = f"({cursor}"
        last, is_large, *found = self._redis.run("page", {"index": index_key(tenant)}, args)
        return Page(self._with_estimates(readable(found)), last and last.decode(), bool(is_large))


def read_request(job_id: str, token_digest: str | None = None) -> tuple[Keys, dict[str, Any]]:
    """Keys and arguments of the script that reads a job."""
    keys = {"job": job_key(job_id), "api_keys": KEYS}
    return keys, {"id": job_id, "names": ESTIMATE_NAMES, "token": token_digest}


def parse_reply(reply: bytes) -> tuple[str | None, Job | None]:
    """The stored API key and the job that the script returned, if there are any."""
    key, *record = json.loads(reply)
    if not record:
        return key or None, None
    texts, place, facts = record
    job = parse_job(texts, place)
    if facts:
        job = job.model_copy(update={"expected_seconds": parse_estimates(facts)[0].until_end(job)})
    return key or None, job


def parse_estimates(facts: list[Any]) -> list[QueueEstimate]:
    """The estimates for each job, from the facts that a script returned."""
    workers, busy, occupied, *of_jobs = facts
    return [
        QueueEstimate(ahead, workers, busy, number(step), number(beside), number(occupied))
        for ahead, step, beside in of_jobs
    ]


@dataclass(frozen=True)
class JobFilter:
    """Selects and orders a tenant's jobs; None and an empty tuple match all."""

    status: JobStatus | None = None
    kinds: tuple[JobKind, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    oldest_first: bool = False


@dataclass(frozen=True)
class Page:
    """Some jobs, and the cursor of the next page; None if this is the last.

    `is_large` if it ended as `MAX_PAGE_BYTES` were reached.
    """

    jobs: list[Job]
    next_cursor: str | None
    is_large: bool = False


def readable(found: list[tuple[bytes, int]]) -> list[Job]:
    """The jobs of some records; skips unreadable ones, so that they don't hide the others."""
    jobs = []
    for stored, place in found:
        try:
            jobs.append(parse_job(json.loads(stored), place))
        except RecordUnreadable as error:
            log.error("unreadable job skipped", error=str(error))
    return jobs


def parse_job(texts: list[str], place: int) -> Job:
    """Build a job from its hash's fields and values, and its position in the queue, 0 if it is not queued.

    Ignores fields that a newer version has added, at any depth.

    Raises:
        RecordUnreadable: the record is unknown to this version in another way.
    """
    fields: dict[str, Any] = dict(zip(texts[::2], texts[1::2], strict=True))
    try:
        for name in STRUCTURED:
            if name in fields:
                fields[name] = json.loads(fields[name])
        if fields["kind"] != "train":
            # Older records lack this field: at that time, the model's output was the video.
            fields["request"].setdefault("detail", "off")
        # By kind: with ignored fields, a union could mistake one kind for another.
        fields["request"] = REQUESTS[fields["kind"]].model_validate(fields["request"], extra="ignore")
        if "options" in fields:
            fields["options"] = without_unknown_events(fields["options"])
        if "deadline_ms" in fields:
            fields["deadline"] = time_of(int(fields["deadline_ms"]))
        return Job.model_validate({**fields, "queue_position": place or None}, extra="ignore")
    except (KeyError, ValueError) as error:
        raise RecordUnreadable(f"the record of {fields.get('id')} cannot be read: {error}") from error


def without_unknown_events(options: dict[str, Any]) -> dict[str, Any]:
    """Options without events that only a newer version knows; its scripts read them from the record."""
    events = options.get("webhook_events", FINAL_EVENTS)
    return {**options, "webhook_events": [each for each in events if each in WEBHOOK_EVENTS]}


def number(stored: bytes | str | Literal[False] | None) -> float | None:
    """A stored number; what isn't stored is None in a reply, and false in JSON."""
    return float(stored) if stored else None


def read_event(entry_id: str, fields: dict[bytes, bytes]) -> Event:
    """Parse an entry of the stream."""
    data = json.loads(fields[b"data"])
    return Event(id=entry_id, type=fields[b"type"].decode(), at=entry_time(entry_id), data=data)
