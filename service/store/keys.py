"""The names of all Redis keys."""

NAMESPACE = "{cinemo}:"
"""A hash tag: a Redis cluster keeps all keys in one slot, so that a script can change several of them."""

JOB = NAMESPACE + "job:"
QUEUE = NAMESPACE + "line:"
"""Prefix of kind and tenant: queued jobs. The name is that of earlier versions."""
CALL = NAMESPACE + "call:"
EVENTS = NAMESPACE + "events:"
PREVIEW = NAMESPACE + "preview:"
"""Prefix of a running job's ID: the last preview of its video, a WebP."""
TENANT = NAMESPACE + "tenant:"
KEYS = NAMESPACE + "keys"
WAKEUPS = NAMESPACE + "jobs:hints"
LEASES = NAMESPACE + "jobs:leases"
DEADLINES = NAMESPACE + "jobs:deadlines"
REMOVALS = NAMESPACE + "jobs:removals"
"""Jobs by the time when their data is deleted: ended ones, and announced ones that do not exist yet."""
UNLISTED = NAMESPACE + "jobs:unlisted"
"""Jobs without data, by the time when their records expire and they leave the indexes."""
MEASURED = NAMESPACE + "measured:"
"""Average durations of jobs."""
INDEX = NAMESPACE + "jobs:index:"
REAPER = NAMESPACE + "reaper"
REAPER_ROUND = NAMESPACE + "reaper:round"
"""When a reaper last finished a round, in milliseconds on Redis' clock."""
COUNTERS = NAMESPACE + "counters"
WORKERS = NAMESPACE + "workers"
KEPT = NAMESPACE + "usage:"
"""Prefix of a tenant: bytes of each stored item, and totals. The name is that of earlier versions."""
USED = NAMESPACE + "used:"
USED_DAYS = USED + "days:"
"""Prefix of a tenant and a date: the tenant's usage on that day."""
USED_MONTHS = USED + "months:"
"""Prefix of a tenant and a month: the tenant's usage of that month."""
USED_TENANTS = USED + "tenants"
"""Tenants with usage, by the last such day."""
HOLDERS = NAMESPACE + "holders:"
"""Prefix of a job's id: the jobs that share its input, if any."""
OWNERS = NAMESPACE + "owner:"
"""Prefix of a job's id: the other job whose input it uses, if any."""
AUDIT = NAMESPACE + "audit"
"""Decisions of the operator's policy."""
UPLOADS = NAMESPACE + "uploads"
"""Storage keys of uploads, by the time when they expire."""
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
"""Keys of the outbox, described in lua/outbox.lua."""
ESTIMATE_NAMES = {
    "queues": QUEUE,
    "tenants": NAMESPACE + "tenants:",
    "workers": NAMESPACE + "workers:",
    "times": MEASURED,
    "leases": LEASES,
    "limits": TENANT,
    "jobs": JOB,
}
"""Keys for estimates, described in lua/estimate.lua."""


def job_key(job_id: str) -> str:
    """The job's hash."""
    return JOB + job_id


def member(tenant: str, job_id: str) -> str:
    """A job in a set that outlives its record."""
    return f"{tenant}:{job_id}"


def card_key(model: str) -> str:
    """The card of a model that the service was started with."""
    return f"{NAMESPACE}card:{model}"


def call_key(call_id: str) -> str:
    """The job that a call has dequeued, for as long as the call may be repeated."""
    return CALL + call_id


def worker_key(worker_id: str) -> str:
    """A worker's heartbeat, which expires."""
    return f"{NAMESPACE}worker:{worker_id}"


def events_key(job_id: str) -> str:
    """The stream of a job's events."""
    return EVENTS + job_id


def preview_key(job_id: str) -> str:
    """The last preview of a running job's video."""
    return PREVIEW + job_id


def tenant_key(tenant: str) -> str:
    """A tenant's limits."""
    return TENANT + tenant


def queue_prefix(kind: str) -> str:
    """Prefix of a tenant: its queued jobs of a kind, by priority and time."""
    return f"{QUEUE}{kind}:"


def running_prefix(kind: str) -> str:
    """Prefix of a tenant: its running jobs of a kind."""
    return f"{NAMESPACE}running:{kind}:"


def workers_key(kind: str) -> str:
    """Workers for jobs of a kind, by the time at which they count as gone."""
    return ESTIMATE_NAMES["workers"] + kind


def tenants_key(kind: str) -> str:
    """Tenants with a queue, by the virtual time of their next job."""
    return ESTIMATE_NAMES["tenants"] + kind


def virtual_time_key(kind: str) -> str:
    """Virtual time of the last dequeued job."""
    return f"{NAMESPACE}virtual-time:{kind}"


def index_key(tenant: str) -> str:
    """IDs of all jobs of a tenant."""
    return INDEX + tenant


def idempotency_key(tenant: str, key: str) -> str:
    """The request with this idempotency key, and its job."""
    return f"{NAMESPACE}idempotency:{tenant}:{key}"


def result_key(tenant: str, digest: str) -> str:
    """A tenant's job with the output for a digest of inputs."""
    return f"{NAMESPACE}result:{tenant}:{digest}"


def model_users_key(tenant: str, model: str) -> str:
    """A tenant's unfinished jobs that use a model."""
    return f"{NAMESPACE}model:{tenant}:{model}:jobs"


def deleted_model_key(tenant: str, model: str) -> str:
    """Exists if a tenant's model has been deleted."""
    return f"{NAMESPACE}model:{tenant}:{model}:deleted"


def model_publisher_key(tenant: str, model: str) -> str:
    """The training job that publishes a tenant's model."""
    return f"{NAMESPACE}model:{tenant}:{model}:publisher"


def secrets_key(tenant: str) -> str:
    """The signing secrets of a tenant's webhooks, newest first."""
    return f"{WEBHOOKS}secrets:{tenant}"
