"""The API's access to job records; `worker_jobs` is the workers'."""

import redis

from service.contract.record import Job
from service.contract.settings import Settings
from service.store.audit import AuditLog
from service.store.models import ModelMarks
from service.store.previews import Previews
from service.store.queries import JobQueries
from service.store.quotas import Limits, StoredBytes, limits_of_tenants
from service.store.removals import JobRemovals
from service.store.scripts import RedisScripts
from service.store.submissions import JobSubmissions
from service.store.transitions import Change, JobTimings, JobTransitions, timings
from service.store.usage import UsageStore


class ApiJobs:
    """Reads, submits, cancels and removes jobs. Every method raises `QueueUnavailable` if Redis is unavailable."""

    def __init__(
        self,
        client: redis.Redis,
        times: JobTimings,
        limits: Limits,
        durable: bool,
        audit_days: int,
    ) -> None:
        self._scripts, self._durable = RedisScripts(client), durable
        self._transitions = JobTransitions(self._scripts, times)
        self.queries = JobQueries(self._scripts)
        self.submissions = JobSubmissions(self._scripts, self.queries, times, limits)
        self.removals = JobRemovals(self._scripts, self.queries)
        self.previews = Previews(self._scripts)
        self.models = ModelMarks(self._scripts)
        self.stored = StoredBytes(self._scripts)
        self.audit = AuditLog(self._scripts, audit_days)
        self.usage = UsageStore(self._scripts, limits)

    def cancel(self, job: Job) -> Change:
        """Cancel a queued job immediately, a running one at its next step."""
        return self._transitions.cancel(job)

    def check(self) -> None:
        """Raise `QueueUnavailable` if Redis is down, `RedisUnsafe` if it is less durable than the settings require."""
        self._scripts.check(self._durable)


def open_api_jobs(settings: Settings, client: redis.Redis) -> ApiJobs:
    """Configured by the settings, on a connection with the timeouts of a request."""
    durable = settings.redis_durability == "required"
    return ApiJobs(client, timings(settings), limits_of_tenants(settings), durable, settings.audit_days)
