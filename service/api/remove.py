"""DELETE /jobs/<id>: have a job's files removed now."""

from fastapi import APIRouter, Response

from service.api.auth import CallerOf
from service.api.context import ContextOf
from service.api.documents import problems
from service.api.jobs import JobId, find
from service.errors import NotFound, StorageUnavailable
from service.jobs.states import ENDED
from service.jobs.views import view_job
from service.schemas import jobs as schemas

router = APIRouter(tags=["jobs"])


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    response_model=None,
    summary="Remove a job's files",
    responses={
        202: {"model": schemas.Job, "description": "The job still runs; its files go as soon as it has stopped."},
        **problems(NotFound, StorageUnavailable),
    },
)
def remove_job(job_id: JobId, response: Response, context: ContextOf, caller: CallerOf) -> schemas.Job | None:
    """Remove input, output and checkpoints, as often as you like; a job that has not ended is canceled first.

    The record stays for its own time, with `data_removed`. A model that a training has published stays, too, and an
    input that other jobs have, as they were run again, goes with the last of them.
    """
    job = find(job_id, context, caller)
    context.jobs.ask_removal(job)
    if context.jobs.cancel(job).status not in ENDED:
        response.status_code = 202
        return view_job(find(job_id, context, caller), context)
    context.retention.remove(job.tenant, job.id)
    return None
