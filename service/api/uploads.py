"""POST /uploads: store a file for later jobs; POST /uploads/presigned: get a bucket URL to PUT one to."""

from cinemo_spec.photo_files import MEDIA_TYPES, photo_format
from service.api.auth import AnimateCaller
from service.api.bodies import BODY_PROBLEMS, JSON, MULTIPART, IncomingOf, read_file, read_json
from service.api.context import ContextOf
from service.api.fields import invalid_fields, request_schema, validate
from service.api.openapi import problems
from service.api.routes import new_router
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

router = new_router("uploads")

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
    max_bytes = max_bytes_of(content_type, context.settings)
    if len(data) > max_bytes:
        raise UploadTooLarge(f"the file is {len(data):,} bytes; the limit for {content_type} is {max_bytes:,}")

    upload = await context.pools.storing.run(caller.tenant, context.uploads.put, caller.tenant, data, content_type)
    stored = upload.stored
    return schemas.Upload(
        id=upload.id,
        content_type=stored.content_type,
        bytes=stored.bytes,
        sha256=stored.sha256,
        expires_at=upload.expires_at,
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
    request = validate(schemas.PresignRequest, body.fields, typed=True)
    max_bytes = max_bytes_of(request.content_type, context.settings)
    if request.bytes > max_bytes:
        detail = f"must be at most {max_bytes:,} for {request.content_type}, got {request.bytes:,}"
        raise invalid_fields(FieldError("#/bytes", detail))

    presigned = await context.pools.calling.run(
        caller.tenant, context.uploads.presign, caller.tenant, request.content_type, request.bytes
    )
    if presigned is None:
        raise UploadUnsupported("presigned uploads need a bucket, and this service has none; use `POST /uploads`")
    upload, url = presigned
    headers = {"Content-Type": request.content_type, "Content-Length": str(request.bytes)}
    return schemas.PresignedUpload(id=upload.id, url=url, headers=headers, expires_at=upload.expires_at)


def file_type(head: bytes) -> str:
    """Detect the media type of a picture or video from its first bytes; raises `UploadUnsupported` for others."""
    picture = photo_format(head)
    found = MEDIA_TYPES[picture] if picture else video_type(head)
    if found is None:
        raise UploadUnsupported("the file is not JPEG, PNG, WebP, AVIF, HEIC, MP4, QuickTime, WebM, Matroska or GIF")
    return found


def max_bytes_of(content_type: str, settings: Settings) -> int:
    """Return the maximum size of a file that jobs accept."""
    still = content_type.startswith("image/") and content_type != "image/gif"
    return settings.max_image_bytes if still else settings.max_video_bytes
