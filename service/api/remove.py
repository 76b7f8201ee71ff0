"""DELETE /jobs/<id>: delete a job's files."""

from fastapi import Response

from service.api.auth import CallerOf
from service.api.context import Context, ContextOf
from service.api.jobs import JobId, find_job
from service.api.openapi import problems
from service.api.routes import new_router
from service.contract.problems import NotFound, StorageUnavailable
from service.contract.record import Job
from service.contract.schemas import jobs as schemas
from service.contract.states import ENDED
from service.contract.views import view_job

router = new_router("jobs")


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    response_model=None,
    summary="Delete a job's files",
    responses={
        202: {
            "model": schemas.Job,
            "description": "The job is still running; its files are deleted once it has stopped.",
        },
        **problems(NotFound, StorageUnavailable),
    },
)
def remove_job(job_id: JobId, response: Response, context: ContextOf, caller: CallerOf) -> schemas.Job | None:
    """Delete the input, output and checkpoints. The call is idempotent; a job that has not ended is canceled first.

    The record is kept for its own retention time, with `data_removed` set. A published model is also kept. An input
    shared with reruns is deleted with the last job that uses it.
    """
    if not remove(find_job(job_id, context, caller), context):
        response.status_code = 202
        return view_job(find_job(job_id, context, caller), context)
    return None


def remove(job: Job, context: Context) -> bool:
    """Delete a job's files; returns False if it is still running: they are deleted once it has stopped."""
    context.jobs.removals.request(job)
    if context.jobs.cancel(job).status not in ENDED:
        return False
    context.retention.remove(job.tenant, job.id)
    return True
