"""POST /animate: queue a job that animates a photo by a sentence."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from fastapi import Response

from service.api.auth import AnimateCaller, Caller
from service.api.bodies import BODY_PROBLEMS, Incoming, IncomingOf, read_body
from service.api.clip_limits import check_limits
from service.api.context import Context, ContextOf
from service.api.defaults import complete_soon
from service.api.drafts import Draft, InputKeys, Result, create_or_validate
from service.api.fields import contents, part_of, request_schema, validate
from service.api.openapi import job_responses
from service.api.pictures import (
    PICTURE_PROBLEMS,
    SOURCES,
    Picture,
    as_media,
    load_picture,
    split_picture,
    store_picture,
)
from service.api.policy import POLICY_PROBLEMS
from service.api.routes import new_router
from service.api.submit import Submission, SubmissionOf, check_webhook_url, job_response
from service.contract.record import Job
from service.contract.requests import AnimateChoices, AnimateRequest, JobOptions
from service.contract.schemas import jobs as schemas
from service.contract.schemas.examples import ANIMATE_REQUEST
from service.contract.schemas.validations import AnimateValidation, Validation
from service.contract.settings import Settings
from service.media.images import CleanImage

router = new_router("animate")


class AnimateFields(AnimateChoices, JobOptions):
    """The fields that a client may send with the picture."""


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
    responses=job_responses(AnimateValidation, *BODY_PROBLEMS, *POLICY_PROBLEMS, *PICTURE_PROBLEMS),
    openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
)
async def animate(
    incoming: IncomingOf, context: ContextOf, caller: AnimateCaller, submission: SubmissionOf, response: Response
) -> Response:
    """Validate a photo and its parameters, store the photo, enqueue the job and return it immediately.

    Send the photo as a form file, as `image_base64` or `image_url` in a JSON body, or as an upload, `upload_id`.
    """
    job = await create_from_body(incoming, context, caller, submission, response)
    incoming.reservation.release()
    return await job_response(job, submission, context, response)


async def create_from_body(
    incoming: Incoming, context: Context, caller: Caller, submission: Submission, response: Response
) -> Job | Validation:
    """Read the body and create the job; returning frees the body before any wait."""
    settings = context.settings
    body = await read_body(incoming, {"image": settings.max_image_bytes})
    picture, fields = split_picture(body)
    given = parse(AnimateFields, fields, body.typed, settings)
    prepare = partial(prepare_draft, picture, given, context, caller)
    return await create_or_validate(submission.with_body(b"animate", body=body), context, caller, response, prepare)


async def prepare_draft(
    picture: Picture, given: AnimateFields, context: Context, caller: Caller, then: Callable[[Draft], Result]
) -> Result:
    """Check the options, the limits and the photo."""
    settings = context.settings
    options = check_webhook_url(part_of(given, JobOptions), context)
    accepted = check_limits(await complete_soon(given, AnimateRequest, context, caller), settings)

    def draft(photo: CleanImage) -> Draft:
        check_limits(accepted, settings, photo.size)

        def store(job_id: str) -> InputKeys:
            return {"input_key": store_picture(photo, job_id, context)}

        return Draft("animate", accepted, options, photo.size, len(photo.data), store, photo=lambda: as_media(photo))

    return await load_picture(picture, lambda photo: then(draft(photo)), context, caller)


def parse(kind: type[Fields], fields: dict[str, Any], typed: bool, settings: Settings) -> Fields:
    """Validate the fields, with the default model; raises `InvalidInput` with a pointer to each invalid one."""
    return validate(kind, {"model": settings.model, **fields}, typed)
