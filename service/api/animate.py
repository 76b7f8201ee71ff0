"""POST /animate: queue a job that animates a photo by a sentence."""

from typing import Any, TypeVar

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from service.api.auth import AnimateCaller, Caller
from service.api.bodies import BODY_PROBLEMS, Incoming, IncomingOf, read_body
from service.api.clip_limits import check_limits
from service.api.context import Context, ContextOf
from service.api.defaults import complete
from service.api.fields import contents, part_of, request_schema, validate
from service.api.openapi import accepted as may_answer
from service.api.pictures import PICTURE_PROBLEMS, SOURCES, Picture, load_picture, split_picture, store_picture
from service.api.submit import Submission, SubmissionOf, check_webhook_url, create_once, job_response, submit
from service.contract.record import Job, job_created_at
from service.contract.requests import AnimateChoices, AnimateRequest, JobOptions
from service.contract.schemas import jobs as schemas
from service.contract.schemas.examples import ANIMATE_REQUEST
from service.contract.settings import Settings
from service.media.images import CleanImage

router = APIRouter(tags=["animate"])


class AnimateFields(AnimateChoices, JobOptions):
    """What a client may send beside the picture."""


Fields = TypeVar("Fields", bound=AnimateFields)

FORM_SCHEMA = {**request_schema(AnimateRequest, JobOptions, **SOURCES), "required": ["prompt"]}
CONTENT = contents(
    FORM_SCHEMA,
    {"image": "photo.jpg", **ANIMATE_REQUEST},
    {"image_url": "https://photos.example.com/1.jpg", **ANIMATE_REQUEST},
)


@router.post(
    "/animate",
    status_code=202,
    response_model=schemas.AnimateJob,
    summary="Animate a photo",
    responses=may_answer(*BODY_PROBLEMS, *PICTURE_PROBLEMS),
    openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
)
async def animate(
    incoming: IncomingOf, context: ContextOf, caller: AnimateCaller, submission: SubmissionOf, response: Response
) -> Response | schemas.Job:
    """Validate a photo and its parameters, store the photo, enqueue the job and return it immediately.

    Send the photo as a form file, as `image_base64` or `image_url` in a JSON body, or as an upload, `upload_id`.
    """
    job = await create_from_body(incoming, context, caller, submission, response)
    incoming.reservation.release()
    return await job_response(job, submission, context, response)


async def create_from_body(
    incoming: Incoming, context: Context, caller: Caller, submission: Submission, response: Response
) -> Job:
    """Read the body and create the job; returning frees the body before any wait."""
    settings = context.settings
    body = await read_body(incoming, {"image": settings.max_image_bytes})
    picture, fields = split_picture(body)
    given = parse(AnimateFields, fields, body.typed, settings)
    return await create_job(picture, given, context, caller, submission.with_body(b"animate", body=body), response)


async def create_job(
    picture: Picture,
    given: AnimateFields,
    context: Context,
    caller: Caller,
    submission: Submission,
    response: Response,
) -> Job:
    """Create a job, or return the one that the same request already created."""
    settings = context.settings
    options = check_webhook_url(part_of(given, JobOptions), context)

    async def create() -> Job:
        accepted = check_limits(await run_in_threadpool(complete, given, AnimateRequest, context, caller), settings)
        photo = await load_picture(picture, context, caller)
        check_limits(accepted, settings, photo.size)
        return await context.pools.storing.run(
            caller.tenant, accept, photo, accepted, options, context, caller, submission
        )

    return await create_once(submission, context, caller, response, create)


def parse(kind: type[Fields], fields: dict[str, Any], typed: bool, settings: Settings) -> Fields:
    """Validate the fields, with the default model; raises `InvalidInput` with a pointer to each invalid one."""
    return validate(kind, {"model": settings.model, **fields}, typed)


def accept(
    photo: CleanImage,
    accepted: AnimateRequest,
    options: JobOptions,
    context: Context,
    caller: Caller,
    submission: Submission,
) -> Job:
    """Store the input, then queue the job, so that every queued job can run."""
    job_id = context.jobs.submissions.announce(caller.tenant, len(photo.data))
    job = Job(
        id=job_id,
        tenant=caller.tenant,
        created_at=job_created_at(job_id),
        input_key=store_picture(photo, job_id, context),
        input_size=photo.size,
        request=accepted,
        options=options,
    )
    return submit(job, context, submission)
