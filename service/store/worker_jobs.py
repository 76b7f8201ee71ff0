"""What the workers may do to jobs; `api_jobs` is the API's side."""

import redis

from service.contract.settings import Settings
from service.store.attempts import JobAttempts
from service.store.connections import connect
from service.store.models import ModelMarks
from service.store.queries import JobQueries
from service.store.recovery import JobRecovery
from service.store.removals import JobRemovals
from service.store.scripts import RedisScripts
from service.store.transitions import USUAL, JobTimings, JobTransitions, timings
from service.store.usage import StoredUsage


class WorkerJobs:
    """The job records, by what workers do. Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(
        self, client: redis.Redis, times: JobTimings = USUAL, max_losses: int = 3, durable: bool = False
    ) -> None:
        self._scripts, self._durable = RedisScripts(client), durable
        self.queries = JobQueries(self._scripts)
        transitions = JobTransitions(self._scripts, times, max_losses)
        self.attempts = JobAttempts(self._scripts, self.queries, transitions, times)
        self.recovery = JobRecovery(self._scripts, self.queries, transitions, times)
        self.removals = JobRemovals(self._scripts, self.queries)
        self.models = ModelMarks(self._scripts)
        self.usage = StoredUsage(self._scripts)

    def check(self) -> None:
        """Raise `QueueUnavailable` where Redis does not answer, `RedisUnsafe` where it would lose what it is told."""
        self._scripts.check(self._durable)


def open_worker_jobs(settings: Settings) -> WorkerJobs:
    """As the settings say, by a connection that waits long for an answer."""
    durable = settings.redis_durability == "required"
    return WorkerJobs(connect(settings.redis_url), timings(settings), settings.max_losses, durable)
