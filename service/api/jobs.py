"""GET /jobs/<id>: where a job stands."""

from fastapi import APIRouter

from service.api.context import ContextOf
from service.api.problems import problem_responses
from service.api.views import JobView, view_job
from service.errors import NotFound

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{job_id}", response_model=JobView, summary="Poll a job", responses=problem_responses(404, 503))
def get_job(job_id: str, context: ContextOf) -> JobView:
    """The job with true per-step progress; download URLs are presigned anew at every call."""
    job = context.jobs.get(job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    return view_job(job, context)
