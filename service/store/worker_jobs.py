"""The workers' access to job records; `api_jobs` is the API's."""

import redis

from service.contract.settings import Settings
from service.store.attempts import JobAttempts
from service.store.audit import AuditLog
from service.store.connections import connect
from service.store.models import ModelMarks
from service.store.previews import Previews
from service.store.queries import JobQueries
from service.store.quotas import Limits, StoredBytes, limits_of_tenants
from service.store.recovery import JobRecovery
from service.store.removals import JobRemovals
from service.store.scripts import RedisScripts
from service.store.transitions import JobTimings, JobTransitions, timings
from service.store.usage import Prices, prices_of


class WorkerJobs:
    """Dequeues, ends and recovers jobs. Every method raises `QueueUnavailable` if Redis is unavailable."""

    def __init__(
        self,
        client: redis.Redis,
        times: JobTimings,
        max_losses: int,
        durable: bool,
        audit_days: int,
        prices: Prices,
        limits: Limits,
    ) -> None:
        self._scripts, self._durable = RedisScripts(client), durable
        self.queries = JobQueries(self._scripts)
        transitions = JobTransitions(self._scripts, times, max_losses, prices, limits)
        self.attempts = JobAttempts(self._scripts, self.queries, transitions, times)
        self.recovery = JobRecovery(self._scripts, self.queries, transitions, times)
        self.removals = JobRemovals(self._scripts, self.queries)
        self.previews = Previews(self._scripts)
        self.models = ModelMarks(self._scripts)
        self.stored = StoredBytes(self._scripts)
        self.audit = AuditLog(self._scripts, audit_days)

    def check(self) -> None:
        """Raise `QueueUnavailable` if Redis is down, `RedisUnsafe` if it is less durable than the settings require."""
        self._scripts.check(self._durable)


def open_worker_jobs(settings: Settings) -> WorkerJobs:
    """Configured by the settings, on a connection with long timeouts."""
    durable = settings.redis_durability == "required"
    return WorkerJobs(
        connect(settings.redis_url),
        timings(settings),
        settings.max_losses,
        durable,
        settings.audit_days,
        prices_of(settings),
        limits_of_tenants(settings),
    )
