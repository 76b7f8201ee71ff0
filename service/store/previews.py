"""Previews of running jobs: the last one of each attempt, until it ends, and an event for each."""

import json

from service.contract.record import Job
from service.store.keys import PREVIEW, events_key, job_key
from service.store.scripts import RedisScripts, held_by, milliseconds

LOST_SECONDS = 3600
"""How long a preview is kept if its worker has died."""


class Previews:
    """Writes, reads and discards previews."""

    def __init__(self, scripts: RedisScripts) -> None:
        self._redis = scripts

    def put(self, job: Job, webp: bytes, event: dict[str, object]) -> bool:
        """Replace the attempt's preview and write an event; False if the attempt no longer holds the job."""
        keys = {"job": job_key(job.id), "events": events_key(job.id), "preview": preview_key(job)}
        args = {
            **held_by(job),
            "event": json.dumps(event),
            "kept_ms": milliseconds(LOST_SECONDS),
        }
        return bool(self._redis.run("put_preview", keys, args, {"webp": webp}))

    def get(self, job: Job) -> bytes | None:
        """The last preview of the job's current attempt, a WebP."""
        found: bytes | None = self._redis.call("get", preview_key(job))
        return found

    def discard(self, job: Job) -> None:
        """Delete the attempt's preview."""
        self._redis.call("delete", preview_key(job))


def preview_key(job: Job) -> str:
    return f"{PREVIEW}{job.id}:{job.attempt}"
