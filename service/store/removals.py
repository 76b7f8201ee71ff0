"""Pending removals of data in Redis; `retention` deletes the data from storage."""

from service.contract.record import Job, JobOutput
from service.contract.storage_keys import checkpoint_prefix, input_prefix, output_prefix
from service.store.keys import HOLDERS, INDEX, KEPT, OWNERS, REMOVALS, UNLISTED, job_key, member, result_key
from service.store.queries import JobQueries
from service.store.scripts import RedisScripts, milliseconds


class JobRemovals:
    """Requests, marks and confirms removals."""

    def __init__(self, scripts: RedisScripts, queries: JobQueries) -> None:
        self._redis, self._queries = scripts, queries

    def request(self, job: Job) -> None:
        """Request the removal of a job's data once the job has ended."""
        keys = {"job": job_key(job.id), "removals": REMOVALS}
        self._redis.run("request_removal", keys, {"member": member(job.tenant, job.id)})

    def due(self, limit: int) -> list[tuple[str, str]]:
        """Tenants and ids of jobs whose data is due for removal."""
        found = [each.partition(":") for each in self._redis.past(REMOVALS, limit)]
        return [(tenant, job_id) for tenant, _, job_id in found]

    def mark(self, job_id: str) -> list[str]:
        """Remove all references to data from the record of an ended job; returns nothing for another.

        Returns the storage prefixes to delete, without an input that other jobs share.
        """
        job = self._queries.get(job_id)
        fields = ["input_key", "video_key", "training"]
        # A model belongs to the tenant, not to its job.
        if job and isinstance(job.output, JobOutput):
            fields.append("output")
        result = result_key(job.tenant, job.digest) if job and job.digest else job_key(job_id)
        keys = {"job": job_key(job_id), "result": result, "owner": OWNERS + job_id}
        owner = self._redis.run("remove", keys, {"id": job_id, "fields": fields, "holders": HOLDERS})
        if owner is None:
            return []
        inputs = [input_prefix(owner.decode())] if owner else []
        return [*inputs, output_prefix(job_id), checkpoint_prefix(job_id)]

    def confirm(self, tenant: str, job_id: str) -> None:
        """Record that the data has been deleted."""
        keys = {
            "removals": REMOVALS,
            "unlisted": UNLISTED,
            "job": job_key(job_id),
            "owner": OWNERS + job_id,
            "kept": KEPT + tenant,
        }
        self._redis.run("removed", keys, {"member": member(tenant, job_id), "id": job_id, "holders": HOLDERS})

    def postpone(self, tenant: str, job_id: str, seconds: float) -> None:
        """Retry a removal later, unless another process has completed it."""
        due = self._redis.now_ms() + milliseconds(seconds)
        self._redis.call("zadd", REMOVALS, {member(tenant, job_id): due}, xx=True)

    def forget_expired(self, limit: int) -> int:
        """Drop jobs whose records have expired from their tenants' lists; returns their number."""
        args = {"limit": limit, "indexes": INDEX, "kept": KEPT}
        return int(self._redis.run("forget", {"unlisted": UNLISTED}, args))
