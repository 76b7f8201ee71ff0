"""The names of everything that stands in Redis."""

DEFAULT_TENANT = "default"

JOB = "cinemo:job:"
EVENTS = "cinemo:events:"
TENANT = "cinemo:tenant:"
HINTS = "cinemo:jobs:hints"
LEASES = "cinemo:jobs:leases"
REAPER = "cinemo:reaper"


def job_key(job_id: str) -> str:
    """The job's hash."""
    return JOB + job_id


def events_key(job_id: str) -> str:
    """The stream of what happened to a job."""
    return EVENTS + job_id


def tenant_key(tenant: str) -> str:
    """A tenant's limits."""
    return TENANT + tenant


def line_prefix(kind: str) -> str:
    """Before a tenant's name: its waiting jobs of a kind, by the time at which they were accepted."""
    return f"cinemo:line:{kind}:"


def running_prefix(kind: str) -> str:
    """Before a tenant's name: its jobs of a kind that workers hold."""
    return f"cinemo:running:{kind}:"


def tenants_key(kind: str) -> str:
    """Tenants with a line, by the virtual time of their next job."""
    return f"cinemo:tenants:{kind}"


def virtual_time_key(kind: str) -> str:
    """Virtual time of the last job taken."""
    return f"cinemo:virtual-time:{kind}"


def index_key(tenant: str) -> str:
    """Ids of all jobs of a tenant."""
    return f"cinemo:jobs:index:{tenant}"


def idempotency_key(tenant: str, key: str) -> str:
    """What became of the request that a tenant's client gave this key."""
    return f"cinemo:idempotency:{tenant}:{key}"


def model_users_key(tenant: str, model: str) -> str:
    """Jobs of a tenant that use a model and have not ended."""
    return f"cinemo:model:{tenant}:{model}:jobs"


def deleted_model_key(tenant: str, model: str) -> str:
    """Stands where a tenant's model has been deleted."""
    return f"cinemo:model:{tenant}:{model}:deleted"
