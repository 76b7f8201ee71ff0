"""Limits of a tenant: job records, bytes in Redis and in storage, and what it may use in a month."""

from dataclasses import dataclass

from service.contract.problems import QuotaReached
from service.contract.record import Job
from service.contract.settings import Settings
from service.store.keys import KEPT, job_key
from service.store.scripts import RedisScripts, held_by

RECORD_BYTES = 8192
"""Size of a job in Redis apart from the client's texts: events, output, indexes, one or two webhooks."""

NAMES = {
    "records": "jobs",
    "record_bytes": "bytes of jobs' records",
    "stored_bytes": "bytes of files",
}


@dataclass(frozen=True)
class Limits:
    """Default limits of a tenant; None is unlimited."""

    records: int | None = None
    record_bytes: int | None = None
    stored_bytes: int | None = None
    monthly_device_seconds: int | None = None
    monthly_cost: float | None = None

    def as_arguments(self) -> dict[str, float]:
        """As arguments of the scripts."""
        return {name: limit for name, limit in vars(self).items() if limit is not None}


UNLIMITED = Limits()


def limits_of_tenants(settings: Settings) -> Limits:
    """The default limits in the settings."""
    return Limits(
        settings.tenant_max_records,
        settings.tenant_max_record_bytes,
        settings.tenant_max_stored_bytes,
        settings.tenant_monthly_device_seconds,
        settings.tenant_monthly_cost,
    )


def require_room(full: str) -> None:
    """Raise `QuotaReached` if a script has named a limit."""
    if full:
        raise QuotaReached(f"your limit of {NAMES[full]} is reached; space is freed as they expire")


class StoredBytes:
    """Tracks a tenant's bytes in storage."""

    def __init__(self, scripts: RedisScripts) -> None:
        self._redis = scripts

    def note(self, job: Job, items: dict[str, int]) -> bool:
        """Count bytes by item as kept for a tenant; False where the job is no longer this attempt's."""
        keys = {"job": job_key(job.id), "kept": KEPT + job.tenant}
        args = {**held_by(job), "items": items}
        return bool(self._redis.run("note_stored", keys, args) == 1)

    def release(self, tenant: str, item: str) -> None:
        """Record that an item has been deleted."""
        self._redis.run("release_stored", {"kept": KEPT + tenant}, {"item": item})
