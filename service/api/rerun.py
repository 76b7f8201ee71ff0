"""POST /jobs/<id>/rerun: the same job again, with what the body says otherwise."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from pydantic import ValidationError

from cinemo_core.training.config import TrainConfig
from service.api import train
from service.api.animate import invalid, within_limits
from service.api.auth import Caller, CallerOf, count
from service.api.context import Context, ContextOf
from service.api.documents import accepted
from service.api.jobs import find
from service.api.submit import Terms, TermsOf, fingerprint, once, pin_model, submit
from service.errors import DataRemoved, NotFound
from service.jobs.model import Job, new_job_id
from service.jobs.requests import AnimateRequest
from service.jobs.views import view_job
from service.schemas import jobs as schemas
from service.tenants import Scope

router = APIRouter(tags=["jobs"])


@router.post(
    "/jobs/{job_id}/rerun",
    status_code=202,
    response_model=schemas.Job,
    summary="Run a job again",
    responses=accepted(NotFound, DataRemoved),
)
def rerun_job(
    job_id: str,
    response: Response,
    context: ContextOf,
    caller: CallerOf,
    terms: TermsOf,
    overrides: Annotated[dict[str, Any] | None, Body(examples=[{"seed": 7}])] = None,
) -> schemas.Job:
    """A new job with the same input and request, seed and all, but for the fields in the body."""
    earlier = find(job_id, context, caller)
    caller.require(Scope.TRAIN if earlier.kind == "train" else Scope.ANIMATE)
    count(caller, context, response)
    sent = fingerprint(b"rerun", job_id.encode(), repr(sorted((overrides or {}).items())).encode())
    job = once(terms, sent, context, caller, response, lambda: again(earlier, overrides or {}, context, caller, terms))
    return view_job(job, context)


def again(earlier: Job, overrides: dict[str, Any], context: Context, caller: Caller, terms: Terms) -> Job:
    """Queue a job like an earlier one, with an input of its own."""
    fields = {**earlier.request.model_dump(), **overrides}
    try:
        request = type(earlier.request).model_validate(fields)
    except ValidationError as error:
        raise invalid(error) from error
    if isinstance(request, TrainConfig):
        return train.accept(request, context, caller, terms)
    return copy_input(earlier, within_limits(request, context), context, caller, terms)


def copy_input(earlier: Job, request: AnimateRequest, context: Context, caller: Caller, terms: Terms) -> Job:
    if earlier.input_key is None:
        raise DataRemoved(f"the input of {earlier.id} has been removed; send it anew")
    request = request.model_copy(update={"model": pin_model(request.model, context, caller)})
    job_id = new_job_id()
    input_key = f"inputs/{job_id}/image.png"
    context.storage.put_bytes(input_key, context.storage.get_bytes(earlier.input_key), "image/png")
    job = Job(id=job_id, tenant=caller.tenant, created_at=datetime.now(UTC), input_key=input_key, request=request)
    return submit(job, context, terms)
