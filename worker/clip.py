"""What all jobs share that make a clip: reuse an equal job's output, or run the model and store what it made."""

from collections.abc import Callable

from service.jobs.model import Job
from worker import reuse
from worker.lease import Lease
from worker.parts import object_store, pipelines
from worker.run import Made
from worker.upload import Result, upload


def make_clip(job: Job, lease: Lease, run_model: Callable[[Job], Result]) -> Made:
    """Video, poster and manifest of a job."""
    digest = reuse.result_digest(job, pipelines().get(job.model, job.tenant).revision, object_store())
    again = reuse.give_again(job, digest, object_store()) if digest and job.options.reuse else None
    if again:
        earlier, output = again
        return Made(output, 0, digest, reused_from=earlier.id)
    result = run_model(job)
    lease.check()
    return Made(upload(job, result, object_store()), result.model_ms, digest)
