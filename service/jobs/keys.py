"""The names of everything that stands in Redis."""

JOB = "cinemo:job:"
INDEX = "cinemo:jobs:index"
HINTS = "cinemo:jobs:hints"
LEASES = "cinemo:jobs:leases"
REAPER = "cinemo:reaper"


def job_key(job_id: str) -> str:
    """The job's hash."""
    return JOB + job_id


def events_key(job_id: str) -> str:
    """The stream of what happened to a job."""
    return f"cinemo:events:{job_id}"


def waiting_key(kind: str) -> str:
    """Waiting jobs of a kind, by the time at which they were accepted."""
    return f"cinemo:jobs:waiting:{kind}"


def idempotency_key(key: str) -> str:
    """What became of the request that a client gave this key."""
    return f"cinemo:idempotency:{key}"


def model_users_key(model: str) -> str:
    """Jobs that use a model and have not ended."""
    return f"cinemo:model:{model}:jobs"


def deleted_model_key(model: str) -> str:
    """Stands where a model has been deleted."""
    return f"cinemo:model:{model}:deleted"
