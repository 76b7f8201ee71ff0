"""What the elected worker does to jobs that nobody else looks after: their worker died, they are late, or forgotten."""

from service.contract.failures import WORKER_LOST
from service.contract.record import JobKind
from service.contract.states import Writer
from service.store.keys import DEADLINES, JOB, LEASES, REAPER, REAPER_ROUND, WAKEUPS
from service.store.queries import JobQueries
from service.store.scripts import RedisScripts, milliseconds
from service.store.transitions import Change, JobTimings, JobTransitions


class JobRecovery:
    """Finds such jobs, and puts them right."""

    def __init__(
        self, scripts: RedisScripts, queries: JobQueries, transitions: JobTransitions, times: JobTimings
    ) -> None:
        self._redis, self._queries, self._transitions, self._times = scripts, queries, transitions, times

    def reap(self, job_id: str) -> Change | None:
        """Put a job whose lease has lapsed back on the queue, or end it after too many losses."""
        job = self._queries.get(job_id)
        if job is None or job.ended:
            self._redis.call("zrem", LEASES, job_id)
            return None
        return self._transitions.lose(job, WORKER_LOST.error("the workers that ran this job died"), Writer.REAPER)

    def expire(self, job_id: str) -> Change | None:
        """End a waiting job whose deadline has passed, or ask it to stop where it runs."""
        job = self._queries.get(job_id)
        if job is None:
            self._redis.call("zrem", DEADLINES, job_id)
            return None
        return self._transitions.expire(job, Writer.REAPER)

    def lapsed(self, limit: int = 100) -> list[str]:
        """Jobs whose lease has lapsed."""
        return self._redis.past(LEASES, limit)

    def past_deadline(self, limit: int = 100) -> list[str]:
        """Jobs whose deadline has passed and that nobody has asked to stop."""
        return self._redis.past(DEADLINES, limit)

    def due_wakeups(self, limit: int = 100) -> list[tuple[str, JobKind]]:
        """Waiting jobs that the workers may have lost sight of."""
        ask = {"limit": limit, "wakeup_ms": milliseconds(self._times.wakeup), "jobs": JOB}
        found = [each.decode() for each in self._redis.run("due", {"wakeups": WAKEUPS}, ask)]
        return list(zip(found[::2], found[1::2], strict=True))

    def elect(self, worker: str, seconds: float) -> bool:
        """Whether this worker is the one that reaps for the next seconds."""
        if self._redis.call("set", REAPER, worker, nx=True, px=milliseconds(seconds)):
            return True
        return bool(self._redis.call("get", REAPER) == worker.encode())

    def note_round(self) -> None:
        """Tell that a reaper has looked after every job that needed it."""
        self._redis.call("set", REAPER_ROUND, self._redis.now_ms())
