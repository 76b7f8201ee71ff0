"""The audit log: the operator's policy's decisions, in an append-only Redis stream that is trimmed by age."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from service.store.counters import POLICY_DECISIONS
from service.store.keys import AUDIT, COUNTERS, events_key
from service.store.scripts import RedisScripts, entry_time

PAGE = 500
DAY_MS = 86_400_000


@dataclass(frozen=True)
class AuditEntry:
    """One decision.

    Attributes:
        stage: `request` or `result`.
        decision: `allow`, `refuse`, `change`, or `unavailable` if there was none and the request was rejected.
        job: the job's ID; None if none was created.
        photo_sha256: of the photo as stored, in hexadecimal.
        prompt: the original one, if the request was refused or changed.
        changed_prompt: the policy's replacement.
        error: why there was no answer.
    """

    stage: str
    decision: str
    tenant: str
    kind: str
    job: str | None = None
    request_id: str | None = None
    reason: str | None = None
    photo_sha256: str | None = None
    prompt: Any = None
    changed_prompt: Any = None
    error: str | None = None

    @property
    def known(self) -> dict[str, Any]:
        """The fields that are set."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Logged:
    """An entry with its ID in the stream and its time on Redis' clock."""

    id: str
    at: datetime
    entry: AuditEntry


class AuditLog:
    """Appends to the audit log and reads it."""

    def __init__(self, scripts: RedisScripts, kept_days: int) -> None:
        self._redis, self._kept_ms = scripts, kept_days * DAY_MS

    def append(self, entry: AuditEntry, event: dict[str, Any] | None = None) -> None:
        """Append an entry, and an event of its job in the same step."""
        keys = {"audit": AUDIT, "events": events_key(entry.job or ""), "counters": COUNTERS}
        self._redis.run("record_decision", keys, self.arguments(entry, event))

    def arguments(self, entry: AuditEntry, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """What `lua/audit.lua` needs, for scripts that append an entry in the same step as something else."""
        given = {
            "entry": json.dumps(entry.known),
            "kept_ms": self._kept_ms,
            "counts": POLICY_DECISIONS.plus(entry.stage, entry.decision),
        }
        return {**given, "event": json.dumps(event)} if event else given

    def read(self, since: datetime | None = None) -> Iterator[Logged]:
        """All entries since a time, oldest first."""
        start = str(round(since.timestamp() * 1000)) if since else "-"
        while entries := self._redis.call("xrange", AUDIT, min=start, count=PAGE):
            yield from (logged(entry_id.decode(), fields) for entry_id, fields in entries)
            start = f"({entries[-1][0].decode()}"


def logged(entry_id: str, fields: dict[bytes, bytes]) -> Logged:
    return Logged(entry_id, entry_time(entry_id), AuditEntry(**json.loads(fields[b"data"])))
