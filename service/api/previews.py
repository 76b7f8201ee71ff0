"""GET /jobs/<id>/preview: how the video looks so far."""

from typing import Any

from fastapi import Response

from service.api.auth import CallerOf
from service.api.context import ContextOf
from service.api.jobs import JobId, find_job
from service.api.openapi import problems
from service.api.routes import new_router
from service.contract.problems import NotFound

router = new_router("jobs")

WEBP = "image/webp"
WEBP_CONTENT = {WEBP: {"schema": {"type": "string", "format": "binary"}, "example": "RIFF … WEBP …"}}
WEBP_RESPONSE: dict[int | str, dict[str, Any]] = {200: {"description": "An animated WebP.", "content": WEBP_CONTENT}}


@router.get(
    "/jobs/{job_id}/preview",
    response_class=Response,
    summary="Get a running job's preview",
    responses={**WEBP_RESPONSE, **problems(NotFound)},
)
def get_preview(job_id: JobId, context: ContextOf, caller: CallerOf) -> Response:
    """Return the latest preview of a job sent with `preview: true`: up to 8 small frames of the video as predicted.

    There is one while the job runs, and an event of type `preview` says when it is replaced. It is kept in memory only
    and deleted when the job ends.
    """
    job = find_job(job_id, context, caller)
    preview = None if job.ended else context.jobs.previews.get(job)
    if preview is None:
        raise NotFound(f"no preview of {job_id} now")
    return Response(preview, media_type=WEBP, headers={"Cache-Control": "no-store"})
