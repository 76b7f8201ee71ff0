"""GET /jobs/<id> and its events: where a job stands and how it came there; POST /jobs/<id>/cancel: have it stop."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.context import Context, ContextOf
from service.api.problems import problem_responses
from service.api.views import EventList, JobView, view_job
from service.errors import NotFound
from service.jobs.model import Job

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{job_id}", response_model=JobView, summary="Poll a job", responses=problem_responses(404, 503))
def get_job(job_id: str, context: ContextOf) -> JobView:
    """The job with true per-step progress; download URLs are presigned anew at every call."""
    return view_job(find(job_id, context), context)


@router.get("/jobs/{job_id}/events", summary="What happened to a job", responses=problem_responses(404, 422, 503))
def get_events(
    job_id: str,
    context: ContextOf,
    after: Annotated[str, Query(pattern=r"^\d{1,20}(-\d{1,20})?$", description="Id of the last event seen.")] = "0",
) -> EventList:
    """Its changes of state, its progress, and what a training stored: up to a thousand, the oldest first."""
    job = find(job_id, context)
    return EventList(events=context.jobs.events(job.id, after))


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    response_model=JobView,
    summary="Cancel a job",
    responses=problem_responses(404, 503),
)
def cancel_job(job_id: str, context: ContextOf) -> JobView:
    """Ask a job to stop, as often as you like: at once while it waits, after its current step while it runs.

    A job that has ended stays as it ended.
    """
    context.jobs.cancel(find(job_id, context))
    return view_job(find(job_id, context), context)


def find(job_id: str, context: Context) -> Job:
    """The job; raises `NotFound`."""
    job = context.jobs.get(job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    return job
