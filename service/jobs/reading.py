"""Reading job records: one, a page of them, what happened to one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.jobs.keys import (
    LEASES,
    LINE,
    TENANT,
    events_key,
    index_key,
    job_key,
    line_prefix,
    result_key,
    tenants_key,
    workers_key,
)
from service.jobs.model import Event, Job, JobKind
from service.jobs.scripts import Scripts
from service.jobs.times import Outlook, kind_key, workload_key

STRUCTURED = ("request", "options", "progress", "training", "output", "error", "metrics")
MAX_EVENTS = 1000
MAX_SCANNED = 500


class JobReader(Scripts):
    """Reads what stands."""

    def get(self, job_id: str) -> Job | None:
        """The job as it stands; while it waits, with its place in its tenant's line (1 is next) and time to its end."""
        stored, place = self._run("read", [job_key(job_id)], [job_id, LINE])
        if not stored:
            return None
        texts = [each.decode() for each in stored]
        fields = dict(zip(texts[::2], texts[1::2], strict=True))
        known: dict[str, Any] = {name: value for name, value in fields.items() if name in Job.model_fields}
        for name in STRUCTURED:
            if name in known:
                known[name] = json.loads(known[name])
        if "deadline_ms" in fields:
            known["deadline"] = datetime.fromtimestamp(int(fields["deadline_ms"]) / 1000, UTC)
        job = Job.model_validate({**known, "queue_position": place or None})
        return job.model_copy(update={"expected_seconds": self._outlook(job).until_end(job)}) if place else job

    def _outlook(self, job: Job) -> Outlook:
        """How things stand before a waiting job, or one that would be its tenant's next."""
        lines = line_prefix(job.kind)
        keys = [
            lines + job.tenant,
            tenants_key(job.kind),
            workers_key(job.kind),
            LEASES,
            workload_key(job),
            kind_key(job),
        ]
        ahead, workers, busy, *times = self._run("outlook", keys, [job.id, job.tenant, lines, TENANT])
        step, beside, whole = (None if each is None else float(each) for each in times)
        return Outlook(ahead, workers, busy, step, beside, whole)

    def with_result(self, tenant: str, digest: str) -> Job | None:
        """A job of the tenant whose output is the result of all that a digest is of, and still stands."""
        job_id = self._call("get", result_key(tenant, digest))
        job = self.get(job_id.decode()) if job_id else None
        return job if job and job.output and job.digest == digest else None

    def waits(self, kind: JobKind, tenant: str) -> bool:
        """Whether a tenant has a line."""
        return bool(self._call("zcard", line_prefix(kind) + tenant))

    def events(self, job_id: str, after: str = "0") -> list[Event]:
        """What happened to a job after some event, oldest first."""
        entries = self._call("xrange", events_key(job_id), f"({after}" if after != "0" else "-", "+", MAX_EVENTS)
        return [read_event(entry_id.decode(), fields) for entry_id, fields in entries]

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
