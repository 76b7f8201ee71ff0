"""The job record in Redis, its only truth: one hash a job, every change a Lua script that checks who asks.

The attempt number is the fencing token: a write by an attempt that has been overtaken changes nothing.
"""

import json
from datetime import UTC, datetime
from importlib import resources
from typing import Any, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from service.errors import QueueUnavailable
from service.jobs.model import TRANSITIONS, Job, JobError, JobEvent, JobMetrics, JobOutput, Progress

WAITING = "cinemo:jobs:waiting"
STRUCTURED = ("request", "progress", "output", "error", "metrics")


def job_key(job_id: str) -> str:
    """Redis key of a job's hash."""
    return f"cinemo:job:{job_id}"


def lua(name: str) -> str:
    return resources.files("service.jobs").joinpath("lua", f"{name}.lua").read_text()


def milliseconds_between(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)


def connect(redis_url: str) -> redis.Redis:
    """A client that retries a broken connection twice at once, and gives up within seconds where Redis is gone."""
    retry = Retry(ExponentialBackoff(cap=0.2, base=0.05), retries=2)
    return redis.Redis.from_url(redis_url, socket_connect_timeout=2, socket_timeout=10, retry=retry)


class JobStore:
    """Reads and changes job records. Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._create = client.register_script(lua("create"))
        self._transition = client.register_script(lua("transition"))

    def create(self, job: Job) -> None:
        """Write a queued job."""
        fields = flatten(to_fields(job.model_dump(mode="json", exclude_none=True, exclude={"queue_position"})))
        place, expiry = job.created_at.timestamp(), int(job.expires_at.timestamp())
        self._run(self._create, job.id, [place, expiry, *fields])

    def get(self, job_id: str) -> Job | None:
        """The job as it stands, with its place in the line while it waits (1 is next)."""
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.hgetall(job_key(job_id))
                pipe.zrank(WAITING, job_id)
                stored, rank = pipe.execute()
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        if not stored:
            return None
        fields = {name.decode(): value.decode() for name, value in stored.items()}
        for name in STRUCTURED:
            if name in fields:
                fields[name] = json.loads(fields[name])
        return Job.model_validate({**fields, "queue_position": None if rank is None else rank + 1})

    def take(self, job_id: str, worker: str) -> Job | None:
        """Begin a new attempt at a queued job; None where there is nothing to take."""
        job = self.get(job_id)
        if job is None:
            return None
        now = datetime.now(UTC)
        metrics = JobMetrics(queue_ms=milliseconds_between(job.created_at, now))
        changes = {"started_at": now.isoformat(), "worker": worker, "metrics": metrics.model_dump(mode="json")}
        return self.get(job_id) if self._change(job_id, JobEvent.TAKE, None, changes) else None

    def report_progress(self, job_id: str, attempt: int, step: int, steps: int, message: str) -> bool:
        """Record that `step` of `steps` is done; False where the attempt no longer holds the job."""
        progress = Progress(step=step, steps=steps, fraction=step / steps, message=message)
        return self._change(job_id, JobEvent.PROGRESS, attempt, {"progress": progress.model_dump(mode="json")})

    def succeed(self, job_id: str, attempt: int, output: JobOutput, metrics: JobMetrics) -> bool:
        """End a job with its output; False where the attempt no longer holds the job."""
        return self._end(job_id, JobEvent.SUCCEED, attempt, {"output": output.model_dump(mode="json")}, metrics)

    def fail(self, job_id: str, attempt: int, error: JobError, metrics: JobMetrics | None = None) -> bool:
        """End a job with an error; False where the attempt no longer holds the job."""
        return self._end(job_id, JobEvent.FAIL, attempt, {"error": error.model_dump(mode="json")}, metrics)

    def ping(self) -> None:
        """Raise `QueueUnavailable` where Redis does not answer."""
        try:
            self._redis.ping()
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

    def _end(
        self, job_id: str, event: JobEvent, attempt: int, changes: dict[str, Any], metrics: JobMetrics | None
    ) -> bool:
        if metrics is not None:
            changes["metrics"] = metrics.model_dump(mode="json")
        return self._change(job_id, event, attempt, {**changes, "finished_at": datetime.now(UTC).isoformat()})

    def _change(self, job_id: str, event: JobEvent, attempt: int | None, changes: dict[str, Any]) -> bool:
        leaves = [state for state, cause in TRANSITIONS if cause is event]
        next_state = TRANSITIONS[leaves[0], event]
        begins_attempt = int(event is JobEvent.TAKE)
        holder = "" if attempt is None else attempt
        arguments = [",".join(leaves), next_state, holder, begins_attempt, *flatten(to_fields(changes))]
        return self._run(self._transition, job_id, arguments) == 1

    def _run(self, script: Any, job_id: str, arguments: list[Any]) -> int:
        try:
            return cast(int, script(keys=[job_key(job_id), WAITING], args=[job_id, *arguments]))
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error


def to_fields(record: dict[str, Any]) -> dict[str, Any]:
    """Hash fields of a record: structured members as JSON."""
    return {name: json.dumps(value) if name in STRUCTURED else value for name, value in record.items()}


def flatten(fields: dict[str, Any]) -> list[Any]:
    return [item for pair in fields.items() for item in pair]
