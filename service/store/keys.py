"""The names of everything that stands in Redis."""

NAMESPACE = "{cinemo}:"
"""In braces, so that a Redis cluster keeps all keys in one slot, where a script may change several of them at once."""

JOB = NAMESPACE + "job:"
QUEUE = NAMESPACE + "line:"
"""Before a kind and a tenant's name: its waiting jobs. Earlier versions call it so, too."""
CALL = NAMESPACE + "call:"
EVENTS = NAMESPACE + "events:"
TENANT = NAMESPACE + "tenant:"
KEYS = NAMESPACE + "keys"
WAKEUPS = NAMESPACE + "jobs:hints"
LEASES = NAMESPACE + "jobs:leases"
DEADLINES = NAMESPACE + "jobs:deadlines"
REMOVALS = NAMESPACE + "jobs:removals"
"""Jobs by the time at which their data goes: those that have ended, and those that are not made yet."""
UNLISTED = NAMESPACE + "jobs:unlisted"
"""Jobs without data by the time at which their records are dropped and their places in the indexes with them."""
MEASURED = NAMESPACE + "measured:"
"""Mean times of jobs."""
INDEX = NAMESPACE + "jobs:index:"
REAPER = NAMESPACE + "reaper"
REAPER_ROUND = NAMESPACE + "reaper:round"
"""When a reaper last made its round, in milliseconds on Redis' own clock."""
COUNTERS = NAMESPACE + "counters"
WORKERS = NAMESPACE + "workers"
KEPT = NAMESPACE + "usage:"
"""Before a tenant's name: bytes of each thing that is kept for it, and totals. Earlier versions call it so, too."""
USED = NAMESPACE + "used:"
USED_DAYS = USED + "days:"
"""Before a tenant's name and a date: the tenant's usage of that day."""
USED_TENANTS = USED + "tenants"
"""Tenants with usage, by the day of the last."""
HOLDERS = NAMESPACE + "holders:"
"""Before a job's id: the jobs that have its input, where others do than itself."""
OWNERS = NAMESPACE + "owner:"
"""Before a job's id: the job whose input it has, where that is another one."""
AUDIT = NAMESPACE + "audit"
"""Decisions of the operator's policy."""
UPLOADS = NAMESPACE + "uploads"
"""Keys of uploads in the storage, by the time at which they expire."""
WEBHOOKS = NAMESPACE + "webhooks:"
WEBHOOK_NAMES = {
    "due": WEBHOOKS + "due",
    "tenants": WEBHOOKS + "tenants",
    "hosts": WEBHOOKS + "hosts:",
    "receivers": WEBHOOKS + "receivers:",
    "pending": WEBHOOKS + "pending:",
    "sending": WEBHOOKS + "sending:",
    "receiver": WEBHOOKS + "receiver:",
    "queue": WEBHOOKS + "line:",
    "delivery": WEBHOOKS + "delivery:",
    "of_job": WEBHOOKS + "job:",
    "of_tenant": WEBHOOKS + "tenant:",
    "endpoints": WEBHOOKS + "endpoints:",
}
"""What the scripts of lua/outbox.lua work on, as explained there."""


def job_key(job_id: str) -> str:
    """The job's hash."""
    return JOB + job_id


def member(tenant: str, job_id: str) -> str:
    """How a set names a job whose record may be gone."""
    return f"{tenant}:{job_id}"


def card_key(model: str) -> str:
    """How a model that the service was started with wants to be used."""
    return f"{NAMESPACE}card:{model}"


def call_key(call_id: str) -> str:
    """The job that a call has taken, for as long as the call may be sent again."""
    return CALL + call_id


def worker_key(worker_id: str) -> str:
    """What a worker says of itself, for as long as it lives."""
    return f"{NAMESPACE}worker:{worker_id}"


def events_key(job_id: str) -> str:
    """The stream of what happened to a job."""
    return EVENTS + job_id


def tenant_key(tenant: str) -> str:
    """A tenant's limits."""
    return TENANT + tenant


def queue_prefix(kind: str) -> str:
    """Before a tenant's name: its waiting jobs of a kind, by the time at which they were accepted."""
    return f"{QUEUE}{kind}:"


def running_prefix(kind: str) -> str:
    """Before a tenant's name: its jobs of a kind that workers hold."""
    return f"{NAMESPACE}running:{kind}:"


def workers_key(kind: str) -> str:
    """Workers that take jobs of a kind, by the time at which they count as gone."""
    return f"{NAMESPACE}workers:{kind}"


def tenants_key(kind: str) -> str:
    """Tenants with a queue, by the virtual time of their next job."""
    return f"{NAMESPACE}tenants:{kind}"


def virtual_time_key(kind: str) -> str:
    """Virtual time of the last job taken."""
    return f"{NAMESPACE}virtual-time:{kind}"


def index_key(tenant: str) -> str:
    """Ids of all jobs of a tenant."""
    return INDEX + tenant


def idempotency_key(tenant: str, key: str) -> str:
    """What became of the request that a tenant's client gave this key."""
    return f"{NAMESPACE}idempotency:{tenant}:{key}"


def result_key(tenant: str, digest: str) -> str:
    """The job of a tenant whose output is the result of all that a digest is of."""
    return f"{NAMESPACE}result:{tenant}:{digest}"


def model_users_key(tenant: str, model: str) -> str:
    """Jobs of a tenant that use a model and have not ended."""
    return f"{NAMESPACE}model:{tenant}:{model}:jobs"


def deleted_model_key(tenant: str, model: str) -> str:
    """Stands where a tenant's model has been deleted."""
    return f"{NAMESPACE}model:{tenant}:{model}:deleted"


def model_publisher_key(tenant: str, model: str) -> str:
    """The training that publishes a tenant's model."""
    return f"{NAMESPACE}model:{tenant}:{model}:publisher"


def secrets_key(tenant: str) -> str:
    """What a tenant's webhooks are signed with, the newest first."""
    return f"{WEBHOOKS}secrets:{tenant}"
