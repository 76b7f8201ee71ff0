"""POST /edit: queue a job that applies a video's motion to another first frame."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Response

from service.api.auth import AnimateCaller, Caller
from service.api.bodies import BODY_PROBLEMS, Body, Incoming, IncomingOf, read_body
from service.api.clip_limits import check_limits
from service.api.context import Context, ContextOf
from service.api.defaults import complete_soon
from service.api.drafts import Draft, InputKeys, PrepareDraft, Result, create_or_validate
from service.api.fields import contents, invalid_fields, part_of, request_schema, validate
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
from service.contract.problems import FieldError, VideoProblem, VideoTooLarge, VideoUnsupported
from service.contract.record import Job
from service.contract.requests import EditChoices, EditRequest, JobOptions
from service.contract.schemas import jobs as schemas
from service.contract.schemas.examples import EDIT_REQUEST, UPLOAD_ID
from service.contract.schemas.validations import EditValidation, Validation
from service.contract.storage_keys import input_prefix
from service.media.images import CleanImage
from service.media.videos import HEAD_BYTES, SUFFIXES, require_video
from service.store.uploads import reading

router = new_router("edit")

UPLOAD_FIELD = "video_upload_id"
VIDEO_SOURCES: dict[str, dict[str, Any]] = {
    "video": {
        "type": "string",
        "format": "binary",
        "description": "MP4, QuickTime, WebM, Matroska or GIF. Forms only.",
    },
    UPLOAD_FIELD: {"type": "string", "description": "ID of an earlier upload (`POST /uploads`)."},
}
"""Exactly one of them is required."""


class EditFields(EditChoices, JobOptions):
    """The fields that a client may send with the files."""


FORM_SCHEMA = {**request_schema(EditRequest, JobOptions, **VIDEO_SOURCES, **SOURCES), "required": []}
CONTENT = contents(
    FORM_SCHEMA,
    {"video": "video.mp4", "image": "photo.jpg", **EDIT_REQUEST},
    {"video_upload_id": UPLOAD_ID, "image_url": "https://photos.example.com/1.jpg", **EDIT_REQUEST},
)


@router.post(
    "/edit",
    status_code=202,
    response_model=schemas.EditJob,
    summary="Edit a video",
    responses=job_responses(
        EditValidation, *BODY_PROBLEMS, *POLICY_PROBLEMS, *PICTURE_PROBLEMS, VideoTooLarge, VideoUnsupported
    ),
    openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
)
async def edit(
    incoming: IncomingOf, context: ContextOf, caller: AnimateCaller, submission: SubmissionOf, response: Response
) -> Response:
    """Apply a video's motion to another first frame: its own, edited, or any photo.

    The API checks only the video's container; if the video can't be decoded, the job fails with `INPUT.VIDEO.INVALID`.
    """
    job = await create_from_body(incoming, context, caller, submission, response)
    incoming.reservation.release()
    return await job_response(job, submission, context, response)


async def create_from_body(
    incoming: Incoming, context: Context, caller: Caller, submission: Submission, response: Response
) -> Job | Validation:
    """Read the body and create the job; returning frees the body before any wait."""
    settings = context.settings
    caps = {"image": settings.max_image_bytes, "video": settings.max_video_bytes}
    body = await read_body(incoming, caps)
    video, rest = split_video(body)
    prepare = preparation(partial(find_video, video, context, caller), rest, context, caller)
    return await create_or_validate(submission.with_body(b"edit", body=body), context, caller, response, prepare)


def preparation(find: Callable[[], "Video"], rest: Body, context: Context, caller: Caller) -> PrepareDraft:
    """Validate the fields, and return what makes the other checks.

    `find` finds the video, and `rest` is the body without it.
    """
    picture, fields = split_picture(rest)
    given = validate(EditFields, {"model": context.settings.model, **fields}, rest.typed)
    return partial(prepare_draft, find, picture, given, context, caller)


async def prepare_draft(
    find: Callable[[], "Video"],
    picture: Picture,
    given: EditFields,
    context: Context,
    caller: Caller,
    then: Callable[[Draft], Result],
) -> Result:
    """Check the options, the limits, the video's container and the photo."""
    settings = context.settings
    options = check_webhook_url(part_of(given, JobOptions), context)
    accepted = check_limits(await complete_soon(given, EditRequest, context, caller), settings)
    source = await context.pools.storing.run(caller.tenant, find)

    def draft(photo: CleanImage) -> Draft:
        check_limits(accepted, settings, photo.size)

        def store(job_id: str) -> InputKeys:
            input_key = store_picture(photo, job_id, context)
            return {"input_key": input_key, "video_key": store_video(source, job_id, context)}

        size_bytes = len(photo.data) + source.size_bytes
        return Draft("edit", accepted, options, photo.size, size_bytes, store, photo=lambda: as_media(photo))

    return await load_picture(picture, lambda photo: then(draft(photo)), context, caller)


def split_video(body: Body) -> tuple[bytes | str, Body]:
    """Split a body into its video, as bytes or the ID of an upload, and the rest."""
    fields, files = dict(body.fields), dict(body.files)
    given = [each for each in (files.pop("video", None), fields.pop(UPLOAD_FIELD, None)) if each is not None]
    given = [each for each in given if each not in ("", b"")] if len(given) > 1 else given
    if len(given) != 1 or not isinstance(given[0], bytes | str):
        raise invalid_fields(FieldError("#/video", f"exactly one of `video`, a file, and `{UPLOAD_FIELD}` is required"))
    return given[0], Body(fields, files, body.typed)


@dataclass(frozen=True)
class Video:
    """A video in a supported container: its bytes, or its key in the storage."""

    content_type: str
    size_bytes: int
    data: bytes | None = None
    key: str = ""


def find_video(video: bytes | str, context: Context, caller: Caller) -> Video:
    """Check a video's container; the worker checks the rest.

    Raises:
        VideoProblem: it can't be used; points at its field.
        UploadUnknown: there is no such upload.
    """
    if isinstance(video, bytes):
        return Video(require_video(video[:HEAD_BYTES]), len(video), data=video)
    stored = context.uploads.find(caller.tenant, video, UPLOAD_FIELD).stored
    limit = context.settings.max_video_bytes
    try:
        if stored.bytes > limit:
            raise VideoTooLarge(f"the upload is {stored.bytes:,} bytes; the limit is {limit:,}")
        with reading(UPLOAD_FIELD):
            head = context.storage.get_bytes(stored.key, 0, HEAD_BYTES)
        return Video(require_video(head), stored.bytes, key=stored.key)
    except VideoProblem as problem:
        problem.point_at(UPLOAD_FIELD)
        raise


def store_video(source: Video, job_id: str, context: Context) -> str:
    """Store a video as a job's input, and return its key."""
    key = f"{input_prefix(job_id)}video.{SUFFIXES[source.content_type]}"
    if source.data is not None:
        context.storage.put_bytes(key, source.data, source.content_type)
    else:
        with reading(UPLOAD_FIELD):
            context.storage.copy(source.key, key)
    return key
