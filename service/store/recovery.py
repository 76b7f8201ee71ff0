"""Recovery of abandoned jobs by the elected worker: expired leases, passed deadlines, lost messages."""

from service.contract.failures import WORKER_LOST
from service.contract.record import JobKind
from service.contract.states import Writer
from service.store.keys import DEADLINES, JOB, LEASES, REAPER, REAPER_ROUND, WAKEUPS
from service.store.queries import JobQueries
from service.store.scripts import RedisScripts, milliseconds
from service.store.transitions import Change, JobTimings, JobTransitions


class JobRecovery:
    """Finds abandoned jobs, and requeues or ends them."""

    def __init__(
        self, scripts: RedisScripts, queries: JobQueries, transitions: JobTransitions, times: JobTimings
    ) -> None:
        self._redis, self._queries, self._transitions, self._times = scripts, queries, transitions, times

    def reap(self, job_id: str) -> Change | None:
        """Requeue a job whose lease has expired, or end it after too many losses; None if it has ended or is gone."""
        job = self._queries.get(job_id)
        if job is None or job.ended:
            self._redis.call("zrem", LEASES, job_id)
            return None
        return self._transitions.lose(job, WORKER_LOST.error("the workers that ran this job died"), Writer.REAPER)

    def expire(self, job_id: str) -> Change | None:
        """End a queued job past its deadline, or request a running one's cancellation; None if it is gone."""
        job = self._queries.get(job_id)
        if job is None:
            self._redis.call("zrem", DEADLINES, job_id)
            return None
        return self._transitions.expire(job, Writer.REAPER)

    def lapsed(self, limit: int = 100) -> list[str]:
        """IDs of jobs whose lease has expired."""
        return self._redis.past(LEASES, limit)

    def past_deadline(self, limit: int = 100) -> list[str]:
        """IDs of jobs past their deadline whose cancellation has not been requested."""
        return self._redis.past(DEADLINES, limit)

    def due_wakeups(self, limit: int = 100) -> list[tuple[str, JobKind]]:
        """Queued jobs whose message may have been lost."""
        args = {"limit": limit, "wakeup_ms": milliseconds(self._times.wakeup), "jobs": JOB}
        found = [each.decode() for each in self._redis.run("due", {"wakeups": WAKEUPS}, args)]
        return list(zip(found[::2], found[1::2], strict=True))

    def elect(self, worker: str, seconds: float) -> bool:
        """Whether this worker is elected for the next seconds."""
        if self._redis.call("set", REAPER, worker, nx=True, px=milliseconds(seconds)):
            return True
        return bool(self._redis.call("get", REAPER) == worker.encode())

    def note_round(self) -> None:
        """Record that a reaper has finished a round."""
        self._redis.call("set", REAPER_ROUND, self._redis.now_ms())
