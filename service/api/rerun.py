"""POST /jobs/<id>/rerun: run a job again, with the body's fields replaced."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from cinemo_spec.training import TrainConfig
from service.api import animate, train
from service.api.auth import Caller, CallerOf, count_request
from service.api.bodies import BODY_PROBLEMS, JSON, IncomingOf, read_json
from service.api.clip_limits import check_limits
from service.api.context import Context, ContextOf
from service.api.defaults import complete
from service.api.edit import EditFields
from service.api.fields import part_of, validate
from service.api.jobs import JobId, find_job
from service.api.openapi import accepted as may_answer
from service.api.submit import Submission, SubmissionOf, check_webhook_url, create_once, job_response, submit
from service.contract.problems import DataRemoved, NotFound, ObjectNotFound, UrlForbidden
from service.contract.record import Job, job_created_at
from service.contract.requests import AnimateRequest, EditRequest, JobOptions
from service.contract.schemas import jobs as schemas
from service.store.cards import CARD_DEFAULTS
from service.store.tenants import Scope

router = APIRouter(tags=["jobs"])

FIELDS: dict[type[BaseModel], type[BaseModel]] = {
    AnimateRequest: animate.AnimateFields,
    EditRequest: EditFields,
    TrainConfig: train.TrainFields,
}
CONTENT = {JSON: {"schema": {"type": "object"}, "example": {"seed": 7}}}


@router.post(
    "/jobs/{job_id}/rerun",
    status_code=202,
    response_model=schemas.Job,
    summary="Rerun a job",
    responses=may_answer(*BODY_PROBLEMS, NotFound, DataRemoved, UrlForbidden),
    openapi_extra={"requestBody": {"required": False, "content": CONTENT}},
)
async def rerun_job(
    job_id: JobId,
    incoming: IncomingOf,
    response: Response,
    context: ContextOf,
    caller: CallerOf,
    submission: SubmissionOf,
) -> Response | schemas.Job:
    """Create a new job with the same input, request and options, including the seed, except for fields in the body.

    Null resets a field to its default.

    A training job that failed or was canceled resumes from its last state unless the body changes the computation.
    These fields don't: `gradient_accumulation_steps`, `gradient_checkpointing`, `data.workers`,
    `data.max_broken_share`, `data.preflight_videos`, `data.allow_uncaptioned`, `log_every_steps`,
    `checkpoint_every_steps`, `samples` and `name`, nor does `steps` if the learning rate is constant and that many
    steps are not done yet. With another `model`, animations and edits use that model's steps and
    guidance unless the body sets them.

    The key needs the scope of the job's kind: `train` for training, otherwise `animate`.
    """
    earlier = await run_in_threadpool(find_job, job_id, context, caller)
    caller.require(Scope.TRAIN if earlier.kind == "train" else Scope.ANIMATE)
    await run_in_threadpool(count_request, caller, context, response)
    body = await read_json(incoming, keep_nulls=True)
    submission = submission.with_body(b"rerun", job_id.encode(), body=body)

    async def create() -> Job:
        return await context.pools.storing.run(caller.tenant, rerun, earlier, body.fields, context, caller, submission)

    job = await create_once(submission, context, caller, response, create)
    return await job_response(job, submission, context, response)


def rerun(earlier: Job, overrides: dict[str, Any], context: Context, caller: Caller, submission: Submission) -> Job:
    """Queue a job like an earlier one, except for `overrides`."""
    kind = type(earlier.request)
    unchanged = earlier.request.model_dump()
    if (
        not isinstance(earlier.request, TrainConfig)
        and overrides.get("model", unchanged["model"]) != unchanged["model"]
    ):
        # These values were the other model's defaults, or tuned for it.
        unchanged = {name: value for name, value in unchanged.items() if name not in CARD_DEFAULTS}
    reset = {name for name, value in overrides.items() if value is None}
    fields = {**unchanged, **earlier.options.model_dump(), **overrides}
    fields = {name: value for name, value in fields.items() if name not in reset}
    given = validate(FIELDS[kind], fields, typed=True)
    options = check_webhook_url(part_of(given, JobOptions), context)
    if isinstance(given, train.TrainFields):
        return train.accept(part_of(given, TrainConfig), options, context, caller, submission, earlier)
    request: AnimateRequest | EditRequest
    if isinstance(given, animate.AnimateFields):
        request = complete(given, AnimateRequest, context, caller)
    else:
        assert isinstance(given, EditFields)
        request = complete(given, EditRequest, context, caller)
    check_limits(request, context.settings, earlier.input_size)
    return share_inputs(earlier, request, options, context, caller, submission)


def share_inputs(
    earlier: Job,
    request: AnimateRequest | EditRequest,
    options: JobOptions,
    context: Context,
    caller: Caller,
    submission: Submission,
) -> Job:
    """Queue a job that shares the earlier one's input instead of copying it."""
    deleted = DataRemoved(f"the input of {earlier.id} has been deleted; send it again")
    if earlier.input_key is None:
        raise deleted
    try:
        for key in filter(None, (earlier.input_key, earlier.video_key)):
            context.storage.get_bytes(key, 0, 1)
    except ObjectNotFound as error:
        # It was deleted after the record was read.
        raise deleted from error
    job_id = context.jobs.submissions.announce(caller.tenant)
    job = Job(
        id=job_id,
        kind=earlier.kind,
        tenant=caller.tenant,
        created_at=job_created_at(job_id),
        input_key=earlier.input_key,
        input_size=earlier.input_size,
        video_key=earlier.video_key,
        request=request,
        options=options,
    )
    return submit(job, context, submission, earlier)
