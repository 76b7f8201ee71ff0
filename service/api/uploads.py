"""POST /uploads: a file that jobs name later by its id; POST /uploads/presigned: a place in the bucket to PUT one."""

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from cinemo_spec.photo_files import MEDIA_TYPES, photo_format
from service.api.auth import AnimateCaller
from service.api.bodies import BODY_PROBLEMS, JSON, MULTIPART, IncomingOf, read_file, read_json
from service.api.context import ContextOf
from service.api.fields import request_schema, validate, wrong
from service.api.openapi import problems
from service.contract.problems import (
    FieldError,
    QuotaReached,
    RateLimited,
    ScopeMissing,
    StorageUnavailable,
    UploadTooLarge,
    UploadUnsupported,
)
from service.contract.schemas import uploads as schemas
from service.contract.schemas.examples import PRESIGN_REQUEST
from service.contract.settings import Settings
from service.media.videos import HEAD_BYTES, video_type

router = APIRouter(tags=["uploads"])

BINARY = {"type": "string", "format": "binary", "description": "A picture or video of a type that jobs accept."}
FORM_SCHEMA = {"type": "object", "additionalProperties": False, "required": ["file"], "properties": {"file": BINARY}}
LIMITS = (RateLimited, QuotaReached, UploadTooLarge)
PROBLEMS = problems(*BODY_PROBLEMS, ScopeMissing, *LIMITS, UploadUnsupported, StorageUnavailable)


@router.post(
    "/uploads",
    status_code=201,
    response_model=schemas.Upload,
    summary="Upload a file",
    responses=PROBLEMS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                MULTIPART: {"schema": FORM_SCHEMA, "example": {"file": "photo.jpg"}},
                "application/octet-stream": {"schema": BINARY, "example": "photo.jpg"},
            },
        }
    },
)
async def upload(incoming: IncomingOf, context: ContextOf, caller: AnimateCaller) -> schemas.Upload:
    """Store a picture or a video, sent as the form field `file` or as the request body.

    The file is fully validated when a job uses it.
    """
    data = await read_file(incoming, context.settings.max_video_bytes)
    content_type = file_type(data[:HEAD_BYTES])
    most = largest(content_type, context.settings)
    if len(data) > most:
        raise UploadTooLarge(f"the file is {len(data):,} bytes; of {content_type} {most:,} are allowed")

    made = await context.pools.storing.run(caller.tenant, context.uploads.put, caller.tenant, data, content_type)
    stored = made.stored
    return schemas.Upload(
        id=made.id,
        content_type=stored.content_type,
        bytes=stored.bytes,
        sha256=stored.sha256,
        expires_at=made.expires_at,
    )


@router.post(
    "/uploads/presigned",
    status_code=201,
    response_model=schemas.PresignedUpload,
    summary="Request a presigned upload",
    responses=PROBLEMS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": request_schema(schemas.PresignRequest), "example": PRESIGN_REQUEST}},
        }
    },
)
async def presign(incoming: IncomingOf, context: ContextOf, caller: AnimateCaller) -> schemas.PresignedUpload:
    """Returns a bucket URL that accepts the file with PUT. Not available with folder storage."""
    body = await read_json(incoming)
    asked = validate(schemas.PresignRequest, body.fields, typed=True)
    most = largest(asked.content_type, context.settings)
    if asked.bytes > most:
        raise wrong(FieldError("#/bytes", f"must be at most {most:,} for {asked.content_type}, got {asked.bytes:,}"))

    made = await run_in_threadpool(context.uploads.presign, caller.tenant, asked.content_type, asked.bytes)
    if made is None:
        raise UploadUnsupported("this service keeps its files on a disk; send the file to POST /uploads")
    place, url = made
    headers = {"Content-Type": asked.content_type, "Content-Length": str(asked.bytes)}
    return schemas.PresignedUpload(id=place.id, url=url, headers=headers, expires_at=place.expires_at)


def file_type(head: bytes) -> str:
    """The media type of a picture or a video by its first bytes; raises `UploadUnsupported` for anything else."""
    picture = photo_format(head)
    found = MEDIA_TYPES[picture] if picture else video_type(head)
    if found is None:
        raise UploadUnsupported("the file is no JPEG, PNG, WebP, AVIF, HEIC, MP4, QuickTime, WebM, Matroska or GIF")
    return found


def largest(content_type: str, settings: Settings) -> int:
    """The most bytes that a job takes of such a file."""
    still = content_type.startswith("image/") and content_type != "image/gif"
    return settings.max_image_bytes if still else settings.max_video_bytes
