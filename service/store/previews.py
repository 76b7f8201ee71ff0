"""Previews of running jobs: the last one, and an event for each. The step that ends an attempt deletes it."""

import json

from service.contract.record import Job
from service.store.keys import events_key, job_key, preview_key
from service.store.scripts import RedisScripts, held_by, milliseconds

LOST_SECONDS = 3600
"""How long a preview is kept if no worker is left that could end its attempt."""


class Previews:
    """Writes and reads previews."""

    def __init__(self, scripts: RedisScripts) -> None:
        self._redis = scripts

    def put(self, job: Job, webp: bytes, event: dict[str, object]) -> bool:
        """Replace the attempt's preview and write an event; False if the attempt no longer holds the job."""
        keys = {"job": job_key(job.id), "events": events_key(job.id), "preview": preview_key(job.id)}
        args = {
            **held_by(job),
            "event": json.dumps(event),
            "kept_ms": milliseconds(LOST_SECONDS),
        }
        return bool(self._redis.run("put_preview", keys, args, {"webp": webp}))

    def get(self, job: Job) -> bytes | None:
        """The last preview of the job's running attempt, a WebP; None if there is none."""
        found: bytes | None = self._redis.call("get", preview_key(job.id))
        return found
