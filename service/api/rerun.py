"""POST /jobs/<id>/rerun: run a job again, with the body's fields replaced."""

from collections.abc import Collection
from functools import partial
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from cinemo_spec.training import TrainConfig
from service.api import animate, train
from service.api.auth import Caller, CallerOf, count_request
from service.api.bodies import BODY_PROBLEMS, JSON, IncomingOf, read_json
from service.api.clip_limits import check_limits
from service.api.context import Context, ContextOf
from service.api.defaults import complete
from service.api.drafts import Draft, InputKeys, create_or_validate, in_thread
from service.api.edit import EditFields
from service.api.fields import part_of, validate
from service.api.jobs import JobId, read_job
from service.api.openapi import job_responses
from service.api.pictures import stored_picture
from service.api.policy import POLICY_PROBLEMS
from service.api.routes import new_router
from service.api.strict_json import without_nulls
from service.api.submit import SubmissionOf, check_webhook_url, job_response
from service.contract.problems import DataRemoved, NotFound, ObjectNotFound, UrlForbidden
from service.contract.record import Job
from service.contract.requests import AnimateRequest, EditRequest, JobOptions
from service.contract.schemas import jobs as schemas
from service.contract.schemas.validations import Validation
from service.store.cards import CARD_DEFAULTS
from service.store.tenants import Scope

router = new_router("jobs")

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
    responses=job_responses(Validation, *BODY_PROBLEMS, *POLICY_PROBLEMS, NotFound, DataRemoved, UrlForbidden),
    openapi_extra={"requestBody": {"required": False, "content": CONTENT}},
)
async def rerun_job(
    job_id: JobId,
    incoming: IncomingOf,
    response: Response,
    context: ContextOf,
    caller: CallerOf,
    submission: SubmissionOf,
) -> Response:
    """Create a new job with the same input, request and options, including the seed, except for fields in the body.

    Null resets a field to its default. Of a section of a training's request, such as `data`, only the members in the
    body are replaced.

    A training job that failed or was canceled resumes from its last state unless the body changes the computation.
    These fields don't: `gradient_accumulation_steps`, `gradient_checkpointing`, `data.workers`,
    `data.max_broken_share`, `data.preflight_videos`, `data.allow_uncaptioned`, `distillation.force`,
    `distillation.checked_prompts`, `log_every_steps`, `checkpoint_every_steps`, `samples` and `name`, nor does `steps`
    if the learning rate is constant and that many steps are not done yet. With another `model`, animations and edits
    use that model's steps and guidance unless the body sets them.

    The key needs the scope of the job's kind: `train` for training, otherwise `animate`.
    """
    earlier = await read_job(job_id, context, caller)
    caller.require(Scope.TRAIN if earlier.kind == "train" else Scope.ANIMATE)
    await count_request(caller, context, response)
    body = await read_json(incoming, keep_nulls=True)
    prepare = in_thread(partial(prepare_draft, earlier, body.fields, context, caller), context, caller)
    submission = submission.with_body(b"rerun", job_id.encode(), body=body)
    job = await create_or_validate(submission, context, caller, response, prepare)
    return await job_response(job, submission, context, response)


def prepare_draft(earlier: Job, overrides: dict[str, Any], context: Context, caller: Caller) -> Draft:
    """Check a job like an earlier one, except for `overrides`."""
    kind = type(earlier.request)
    unchanged = earlier.request.model_dump()
    if (
        not isinstance(earlier.request, TrainConfig)
        and overrides.get("model", unchanged["model"]) != unchanged["model"]
    ):
        # These values were the other model's defaults, or tuned for it.
        unchanged = {name: value for name, value in unchanged.items() if name not in CARD_DEFAULTS}
    sections = TrainConfig.model_fields if kind is TrainConfig else ()
    fields = replaced({**unchanged, **earlier.options.model_dump()}, overrides, sections)
    given = validate(FIELDS[kind], fields, typed=True)
    if isinstance(given, train.TrainFields):
        return train.prepare_draft(given, context, caller, earlier)
    options = check_webhook_url(part_of(given, JobOptions), context)
    request: AnimateRequest | EditRequest
    if isinstance(given, animate.AnimateFields):
        request = complete(given, AnimateRequest, context, caller)
    else:
        assert isinstance(given, EditFields)
        request = complete(given, EditRequest, context, caller)
    check_limits(request, context.settings, earlier.input_size)
    shared = share_input(earlier, context)
    return Draft(
        earlier.kind,
        request,
        options,
        earlier.input_size,
        store=lambda _: shared,
        earlier=earlier,
        photo=lambda: stored_picture(shared["input_key"], context),
    )


def replaced(fields: dict[str, Any], overrides: dict[str, Any], sections: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields with those of `overrides`, of `sections` only the members given; null drops a field."""
    changed = {
        name: replaced(fields[name], value)
        if name in sections and isinstance(value, dict) and isinstance(fields[name], dict)
        else value
        for name, value in overrides.items()
    }
    return without_nulls({**fields, **changed})


def share_input(earlier: Job, context: Context) -> InputKeys:
    """Return the earlier job's input, which is not copied; raises `DataRemoved` if it has been deleted."""
    deleted = DataRemoved(f"the input of {earlier.id} has been deleted; send it again")
    if earlier.input_key is None:
        raise deleted
    keys = {"input_key": earlier.input_key}
    if earlier.video_key is not None:
        keys["video_key"] = earlier.video_key
    try:
        for key in keys.values():
            context.storage.get_bytes(key, 0, 1)
    except ObjectNotFound as error:
        # It was deleted after the record was read.
        raise deleted from error
    return keys
