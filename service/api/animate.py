"""POST /animate: a photo and a sentence become a queued job."""

import json
import secrets
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from service.api.auth import AnimateCaller, Caller
from service.api.context import Context, ContextOf
from service.api.documents import accepted
from service.api.submit import Terms, TermsOf, fingerprint, once, pin_model, submit
from service.api.uploads import read_form
from service.errors import (
    FieldError,
    ImageAnimated,
    ImageCorrupt,
    ImageTooLarge,
    ImageUnsupported,
    InvalidInput,
    MalformedBody,
    UnsupportedBody,
)
from service.images import clean_image
from service.jobs.model import Job, new_job_id
from service.jobs.requests import MAX_SEED, AnimateRequest
from service.jobs.views import view_job
from service.schemas import jobs as schemas
from service.schemas.examples import ANIMATE_REQUEST

router = APIRouter(tags=["animate"])

FORM_FIELDS = AnimateRequest.model_json_schema()["properties"]
FORM_SCHEMA = {
    "type": "object",
    "examples": [{"image": "<the file>", **ANIMATE_REQUEST}],
    "additionalProperties": False,
    "required": ["image", "prompt"],
    "properties": {
        "image": {"type": "string", "format": "binary", "description": "JPEG, PNG or WebP, at most 16 MiB."},
        **FORM_FIELDS,
    },
}


@router.post(
    "/animate",
    status_code=202,
    response_model=schemas.AnimateJob,
    summary="Animate a photo",
    responses=accepted(MalformedBody, UnsupportedBody, ImageTooLarge, ImageUnsupported, ImageCorrupt, ImageAnimated),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM_SCHEMA}}}},
)
async def animate(
    request: Request,
    response: Response,
    context: ContextOf,
    caller: AnimateCaller,
    terms: TermsOf,
) -> schemas.Job:
    """Check a photo and its parameters, store the photo, queue the job and answer with it at once."""
    image, fields = await read_form(request, context.settings.max_image_bytes)
    accepted = parse_fields(fields, context)
    sent = fingerprint(b"animate", image, json.dumps(fields, sort_keys=True).encode())

    def make() -> Job:
        return accept(image, accepted, context, caller, terms)

    job = await run_in_threadpool(once, terms, sent, context, caller, response, make)
    return view_job(job, context)


def parse_fields(fields: dict[str, str], context: Context) -> AnimateRequest:
    """The request with defaults filled in; raises `InvalidInput` with a pointer for each wrong field."""
    settings = context.settings
    defaults = {
        "seed": secrets.randbelow(MAX_SEED + 1),
        "num_inference_steps": settings.default_num_inference_steps,
        "guidance_scale": settings.default_guidance_scale,
        "model": settings.model,
    }
    try:
        accepted = AnimateRequest.model_validate({**defaults, **fields})
    except ValidationError as error:
        raise invalid(error) from error
    return within_limits(accepted, context)


def invalid(error: ValidationError) -> InvalidInput:
    """The problem of fields that are wrong, with a pointer to each."""
    errors = [FieldError("#/" + "/".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
    return InvalidInput("; ".join(f"{each.pointer[2:]}: {each.detail}" for each in errors), errors)


def within_limits(accepted: AnimateRequest, context: Context) -> AnimateRequest:
    """The request; raises `InvalidInput` where it asks for more than the settings allow."""
    settings = context.settings
    if accepted.num_inference_steps > settings.max_num_inference_steps:
        detail = f"must be at most {settings.max_num_inference_steps}, got {accepted.num_inference_steps}"
        raise InvalidInput(f"num_inference_steps: {detail}", [FieldError("#/num_inference_steps", detail)])
    return accepted


def accept(image: bytes, accepted: AnimateRequest, context: Context, caller: Caller, terms: Terms) -> Job:
    """Find the model, store the input, then queue the job: what is queued can always be run."""
    accepted = accepted.model_copy(update={"model": pin_model(accepted.model, context, caller)})
    cleaned = clean_image(image, context.settings)
    job_id = new_job_id()
    input_key = f"inputs/{job_id}/image.png"
    context.storage.put_bytes(input_key, cleaned, "image/png")
    job = Job(id=job_id, tenant=caller.tenant, created_at=datetime.now(UTC), input_key=input_key, request=accepted)
    return submit(job, context, terms)
