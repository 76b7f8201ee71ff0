"""What Redis knows of data that is to be removed from the storage; who deletes it there is `retention`."""

from service.contract.record import Job, JobOutput, new_job_id
from service.store.keys import HOLDERS, INDEX, OWNERS, REMOVALS, UNLISTED, USAGE, job_key, result_key, tenant_key
from service.store.scripts import milliseconds
from service.store.transitions import JobTransitions, member
from service.store.usage import require_room

ANNOUNCED_SECONDS = 3600
"""Longer than any request takes from its first stored byte to its job's record."""


class JobRemovals(JobTransitions):
    """Marks, confirms and forgets."""

    def announce(self, tenant: str, stored_bytes: int = 0) -> str:
        """The id of a job to be; what is stored for it goes after `ANNOUNCED_SECONDS`, unless it is created before.

        It is of now on Redis' clock, which all APIs share: jobs wait and are listed in the order of their ids' times.

        Raises:
            QuotaReached: there is no room for a job of the tenant, or for an input of so many bytes.
        """
        job_id = new_job_id(self._now_ms())
        ask = {
            "member": member(tenant, job_id),
            "id": job_id,
            "wait_ms": milliseconds(ANNOUNCED_SECONDS),
            "stored_bytes": stored_bytes,
            "limits": self._limits.as_asked(),
        }
        keys = {"removals": REMOVALS, "usage": USAGE + tenant, "tenant": tenant_key(tenant)}
        require_room(self._run("announce", keys, ask).decode())
        return job_id

    def ask_removal(self, job: Job) -> None:
        """Have a job's data removed as soon as the job has ended."""
        self._run("ask_removal", {"job": job_key(job.id), "removals": REMOVALS}, {"member": member(job.tenant, job.id)})

    def due_removals(self, limit: int) -> list[tuple[str, str]]:
        """Tenants and ids of jobs whose data is to go now."""
        found = [each.partition(":") for each in self._past(REMOVALS, limit)]
        return [(tenant, job_id) for tenant, _, job_id in found]

    def mark_removed(self, job_id: str) -> list[str]:
        """Take what names data out of the record of a job that has ended; none where it has not.

        Returns the prefixes in the storage that are to be deleted; an input that other jobs have, too, is not among
        them.
        """
        job = self.get(job_id)
        fields = ["input_key", "video_key", "training"]
        # A model is the tenant's own, not its job's.
        if job and isinstance(job.output, JobOutput):
            fields.append("output")
        result = result_key(job.tenant, job.digest) if job and job.digest else job_key(job_id)
        keys = {"job": job_key(job_id), "result": result, "owner": OWNERS + job_id}
        owner = self._run("remove", keys, {"id": job_id, "fields": fields, "holders": HOLDERS})
        if owner is None:
            return []
        return [*(f"inputs/{each}/" for each in (owner.decode(),) if each), f"jobs/{job_id}/", f"checkpoints/{job_id}/"]

    def confirm_removed(self, tenant: str, job_id: str) -> None:
        """Note that the data is gone."""
        keys = {
            "removals": REMOVALS,
            "unlisted": UNLISTED,
            "job": job_key(job_id),
            "owner": OWNERS + job_id,
            "usage": USAGE + tenant,
        }
        self._run("removed", keys, {"member": member(tenant, job_id), "id": job_id, "holders": HOLDERS})

    def postpone_removal(self, tenant: str, job_id: str, seconds: float) -> None:
        """Have data that could not be removed be due later, unless somebody else has removed it meanwhile."""
        self._call("zadd", REMOVALS, {member(tenant, job_id): self._now_ms() + milliseconds(seconds)}, xx=True)

    def forget_expired(self, limit: int) -> int:
        """Take jobs whose records have expired out of their tenants' lists; returns how many."""
        return int(self._run("forget", {"unlisted": UNLISTED}, {"limit": limit, "indexes": INDEX, "usages": USAGE}))
