"""What Redis knows of data that is to be removed from the storage; who deletes it there is `retention`."""

from service.jobs.changing import JobChanger
from service.jobs.keys import INDEX, REMOVALS, UNLISTED, job_key, result_key
from service.jobs.model import Job, JobOutput, new_job_id
from service.jobs.scripts import milliseconds

ANNOUNCED_SECONDS = 3600
"""Longer than any request takes from its first stored byte to its job's record."""


class JobRemover(JobChanger):
    """Marks, confirms and forgets."""

    def announce(self, tenant: str) -> str:
        """The id of a job to be; what is stored for it goes after `ANNOUNCED_SECONDS`, unless it is created before."""
        job_id = new_job_id()
        self._run("announce", [REMOVALS], [member(tenant, job_id), milliseconds(ANNOUNCED_SECONDS)])
        return job_id

    def ask_removal(self, job: Job) -> None:
        """Have a job's data removed as soon as the job has ended."""
        self._run("ask_removal", [job_key(job.id), REMOVALS], [member(job.tenant, job.id)])

    def due_removals(self, limit: int) -> list[tuple[str, str]]:
        """Tenants and ids of jobs whose data is to go now."""
        found = [each.partition(":") for each in self._past(REMOVALS, limit)]
        return [(tenant, job_id) for tenant, _, job_id in found]

    def mark_removed(self, job_id: str) -> bool:
        """Take what names data out of the record of a job that has ended; False where it has not."""
        job = self.get(job_id)
        fields = ["input_key", "video_key", "training"]
        # A model is the tenant's own, not its job's.
        if job and isinstance(job.output, JobOutput):
            fields.append("output")
        result = result_key(job.tenant, job.digest) if job and job.digest else job_key(job_id)
        return bool(self._run("remove", [job_key(job_id), result], [job_id, *fields]))

    def confirm_removed(self, tenant: str, job_id: str) -> None:
        """Note that the data is gone."""
        self._run("removed", [REMOVALS, UNLISTED, job_key(job_id)], [member(tenant, job_id)])

    def postpone_removal(self, tenant: str, job_id: str, seconds: float) -> None:
        """Have data that could not be removed be due later, unless somebody else has removed it meanwhile."""
        self._call("zadd", REMOVALS, {member(tenant, job_id): self._now_ms() + milliseconds(seconds)}, xx=True)

    def forget_expired(self, limit: int) -> int:
        """Take jobs whose records have expired out of their tenants' lists; returns how many."""
        return int(self._run("forget", [UNLISTED], [limit, INDEX]))


def member(tenant: str, job_id: str) -> str:
    """How a job is named where its record may be gone."""
    return f"{tenant}:{job_id}"
