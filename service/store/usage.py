"""How much may be kept for a tenant: records of jobs in Redis, and bytes there and in the storage."""

from dataclasses import dataclass

from service.contract.problems import QuotaReached

RECORD_BYTES = 8192
"""What a job's record costs Redis beside the texts that its client sent: events, output, indexes, a webhook or two."""

NAMES = {
    "records": "jobs",
    "record_bytes": "bytes of jobs' records",
    "stored_bytes": "bytes of files",
}


@dataclass(frozen=True)
class Limits:
    """Of each tenant that has none of its own; none is no limit."""

    records: int | None = None
    record_bytes: int | None = None
    stored_bytes: int | None = None

    def as_asked(self) -> dict[str, int]:
        """As the scripts take them."""
        return {name: limit for name, limit in vars(self).items() if limit is not None}


UNLIMITED = Limits()


def require_room(full: str) -> None:
    """Raise `QuotaReached` where a script has named a limit."""
    if full:
        raise QuotaReached(f"as many {NAMES[full]} are kept for you as may be; they go as they expire")
