"""Loads a job's picture from a file, base64, an upload or a URL."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from service.api.auth import Caller
from service.api.base64_text import decode_base64
from service.api.bodies import Body
from service.api.context import Context
from service.api.fields import invalid_fields, pointer_to
from service.api.thread_pools import DECODERS
from service.contract.problems import (
    DataRemoved,
    FieldError,
    ImageAnimated,
    ImageCorrupt,
    ImageProblem,
    ImageTooComplex,
    ImageTooLarge,
    ImageUnsupported,
    InvalidInput,
    ObjectNotFound,
    UploadUnknown,
    UrlForbidden,
    UrlTooLarge,
    UrlUnreachable,
)
from service.contract.settings import Settings
from service.contract.storage_keys import input_prefix
from service.media.images import CleanImage, InspectedImage, decode, inspect
from service.policy.decision import Media
from service.store.uploads import reading

Result = TypeVar("Result")

SOURCES: dict[str, dict[str, Any]] = {
    "image": {
        "type": "string",
        "format": "binary",
        "description": "JPEG, PNG, WebP, AVIF or HEIC. Forms only.",
    },
    "image_base64": {
        "type": "string",
        "contentEncoding": "base64",
        "description": "The same, base64-encoded. JSON only.",
    },
    "image_url": {"type": "string", "description": "URL to fetch it from: no redirects, no private addresses."},
    "upload_id": {"type": "string", "description": "ID of an earlier upload (`POST /uploads`)."},
}
"""Exactly one of them is required."""
REMOTE_SOURCES = ("image_url", "upload_id")
"""Sources whose bytes are not in the request body, for which memory is reserved already."""

PICTURE_PROBLEMS = (
    ImageTooLarge,
    ImageUnsupported,
    ImageCorrupt,
    ImageTooComplex,
    ImageAnimated,
    UploadUnknown,
    UrlForbidden,
    UrlUnreachable,
    UrlTooLarge,
)
FETCH_SECONDS = 20


@dataclass(frozen=True)
class Picture:
    """Where a picture comes from: a field and its value; for a large `image_base64`, a view of the undecoded text."""

    source: str
    value: bytes | str | memoryview


def split_picture(body: Body) -> tuple[Picture, dict[str, Any]]:
    """Split a body into its picture and the other fields; raises `InvalidInput` unless there is exactly one picture."""
    given = {name: value for name, value in {**body.fields, **body.files}.items() if name in SOURCES}
    if len(given) > 1:
        # A form may send the fields that were not used, too, but empty.
        given = {name: value for name, value in given.items() if value not in ("", b"")}
    if len(given) != 1:
        detail = f"exactly one of {', '.join(SOURCES)} is required"
        errors = [FieldError(pointer_to(name), detail) for name in given or ("image",)]
        raise InvalidInput(detail, errors)
    ((source, value),) = given.items()
    if not isinstance(value, bytes | str | memoryview):
        raise invalid_fields(FieldError(pointer_to(source), "must be text"))
    return Picture(source, value), {name: each for name, each in body.fields.items() if name not in SOURCES}


async def load_picture(
    picture: Picture, then: Callable[[CleanImage], Result], context: Context, caller: Caller
) -> Result:
    """Get a picture and convert it for a job, once there is a thread and memory to decode it.

    Returns what `then` makes of it, in the same thread if the picture is decoded quickly.

    Raises:
        ImageProblem: it can't be used; points at its field.
        UploadUnknown: there is no such upload.
        UrlForbidden, UrlUnreachable, UrlTooLarge: it can't be fetched.
        ServiceBusy: the wait for a thread or memory timed out.
    """
    pools, settings, tenant = context.pools, context.settings, caller.tenant
    get = partial(read_picture, picture, context, caller)
    try:
        async with AsyncExitStack() as stack:
            if picture.source in REMOTE_SOURCES:
                await stack.enter_async_context(pools.fetching.semaphore.acquire(tenant))
                get = partial(bytes, await pools.fetching.run_acquired(get))
            inspected = await pools.storing.run(tenant, inspect_or_finish, get, then, settings)
            if not isinstance(inspected, InspectedImage):
                return inspected
            # A minimum limits how many small pictures are decoded at once, as they compete for the CPU.
            size = max(inspected.decoding_bytes, settings.max_decoding_bytes // (2 * DECODERS))
            clean = await pools.decoding.run_sized(tenant, size, partial(decode, inspected, settings))
        return await pools.storing.run(tenant, then, clean)
    except ImageProblem as problem:
        problem.point_at(picture.source)
        raise


def inspect_or_finish(
    get: Callable[[], bytes], then: Callable[[CleanImage], Result], settings: Settings
) -> InspectedImage | Result:
    """Inspect a picture; if it is decoded quickly, return what `then` makes of it."""
    inspected = inspect(get(), settings)
    return then(decode(inspected, settings)) if inspected.is_quick else inspected


def store_picture(clean: CleanImage, job_id: str, context: Context) -> str:
    """Store a picture as a job's input, and return its key."""
    key = f"{input_prefix(job_id)}image.{clean.suffix}"
    context.storage.put_bytes(key, clean.data, clean.content_type)
    return key


def as_media(clean: CleanImage) -> Media:
    """A picture as the operator's policy gets it."""
    return Media(content_type=clean.content_type, data=clean.data)


def stored_picture(key: str, context: Context) -> Media:
    """The same of a job's stored input; raises `DataRemoved` if it has been deleted."""
    try:
        content_type = "image/png" if key.endswith(".png") else "image/jpeg"
        return Media(content_type=content_type, data=context.storage.get_bytes(key))
    except ObjectNotFound as error:
        raise DataRemoved("the job's input has been deleted; send it again") from error


def read_picture(picture: Picture, context: Context, caller: Caller) -> bytes:
    """Read the picture's bytes from its source."""
    value, max_bytes = picture.value, context.settings.max_image_bytes
    if isinstance(value, bytes):
        return value
    if isinstance(value, memoryview) or picture.source == "image_base64":
        return decode_base64(value, max_bytes)
    if picture.source == "upload_id":
        upload = context.uploads.find(caller.tenant, value, picture.source)
        if upload.stored.bytes > max_bytes:
            raise ImageTooLarge(f"the upload is {upload.stored.bytes:,} bytes; the limit is {max_bytes:,}")
        with reading(picture.source):
            return context.storage.get_bytes(upload.stored.key)
    return fetch(value, max_bytes, context)


def fetch(url: str, max_bytes: int, context: Context) -> bytes:
    """Fetch a URL; raises like `Outbound.get`, and points at the field."""
    try:
        return context.outbound.get(url, max_bytes=max_bytes, timeout_seconds=FETCH_SECONDS).body
    except (UrlForbidden, UrlUnreachable, UrlTooLarge) as problem:
        problem.errors = [FieldError("#/image_url", problem.detail)]
        raise
