"""The picture of a job, by whichever way it comes: as a file, in base64, as an upload, or from a URL."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from service.api.auth import Caller
from service.api.base64_text import decode_base64
from service.api.bodies import Body
from service.api.context import Context
from service.api.fields import pointer_to
from service.api.thread_pools import DECODERS
from service.contract.problems import (
    FieldError,
    ImageAnimated,
    ImageCorrupt,
    ImageProblem,
    ImageTooComplex,
    ImageTooLarge,
    ImageUnsupported,
    InvalidInput,
    UploadUnknown,
    UrlForbidden,
    UrlTooLarge,
    UrlUnreachable,
)
from service.media.images import CleanImage, decode, inspect
from service.store.uploads import reading

SOURCES: dict[str, dict[str, Any]] = {
    "image": {
        "type": "string",
        "format": "binary",
        "description": "JPEG, PNG, WebP, AVIF or HEIC; at most 16 MiB, 25 megapixels and 8192 a side. Forms only.",
    },
    "image_base64": {
        "type": "string",
        "contentEncoding": "base64",
        "description": "The same, base64-encoded. JSON only.",
    },
    "image_url": {"type": "string", "description": "URL to fetch it from: no redirects, no private addresses."},
    "upload_id": {"type": "string", "description": "ID of an earlier upload (`POST /uploads`)."},
}
"""Exactly one of them is given."""
ELSEWHERE = ("image_url", "upload_id")
"""They bring no bytes along that a place is taken for."""


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
    """Where a picture comes from: the field, and what stands in it; of a large `image_base64` its undecoded text."""

    source: str
    value: bytes | str | memoryview


def take_picture(body: Body) -> tuple[Picture, dict[str, Any]]:
    """The picture of a body, and the fields that are left; raises `InvalidInput` where there is not exactly one."""
    given = {name: value for name, value in {**body.fields, **body.files}.items() if name in SOURCES}
    if len(given) > 1:
        # A field of a form that stayed empty beside the one that was chosen.
        given = {name: value for name, value in given.items() if value not in ("", b"")}
    if len(given) != 1:
        detail = f"exactly one of {', '.join(SOURCES)} is required"
        errors = [FieldError(pointer_to(name), detail) for name in given or ("image",)]
        raise InvalidInput(detail, errors)
    ((source, value),) = given.items()
    if not isinstance(value, bytes | str | memoryview):
        raise InvalidInput(f"{source} must be text", [FieldError(pointer_to(source), "must be text")])
    return Picture(source, value), {name: each for name, each in body.fields.items() if name not in SOURCES}


async def get_picture(picture: Picture, context: Context, caller: Caller) -> CleanImage:
    """Get the picture and make it what a job takes; what has no room to be decoded in waits, and takes no thread.

    Raises:
        ImageProblem: it cannot be used; points at the field that it came in.
        UploadUnknown: there is no such upload.
        UrlForbidden, UrlUnreachable, UrlTooLarge: it cannot be fetched.
        ServiceBusy: its turn did not come in time.
    """
    pools, settings, tenant = context.pools, context.settings, caller.tenant
    get = partial(read_picture, picture, context, caller)
    try:
        async with AsyncExitStack() as stack:
            if picture.source in ELSEWHERE:
                await stack.enter_async_context(pools.fetching.semaphore.acquire(tenant))
                data = await pools.fetching.run_acquired(get)
            else:
                data = await pools.storing.run(tenant, get)
            inspected = await pools.storing.run(tenant, inspect, data, settings)
            # Small ones are many, and wait for the processor.
            size = max(inspected.decoding_bytes, settings.max_decoding_bytes // (2 * DECODERS))
            return await pools.decoding.run_sized(tenant, size, partial(decode, inspected, settings))
    except ImageProblem as problem:
        problem.point_at(picture.source)
        raise


def store_picture(clean: CleanImage, job_id: str, context: Context) -> str:
    """Store a picture as a job's input; returns its key."""
    key = f"inputs/{job_id}/image.{clean.suffix}"
    context.storage.put_bytes(key, clean.data, clean.content_type)
    return key


def read_picture(picture: Picture, context: Context, caller: Caller) -> bytes:
    """The bytes as the client gave them."""
    value, most = picture.value, context.settings.max_image_bytes
    if isinstance(value, bytes):
        return value
    if isinstance(value, memoryview) or picture.source == "image_base64":
        return decode_base64(value, most)
    if picture.source == "upload_id":
        upload = context.uploads.find(caller.tenant, value, picture.source)
        if upload.stored.bytes > most:
            raise ImageTooLarge(f"the upload is {upload.stored.bytes:,} bytes; allowed are {most:,}")
        with reading(picture.source):
            return context.storage.get_bytes(upload.stored.key)
    return fetch(value, most, context)


def fetch(url: str, max_bytes: int, context: Context) -> bytes:
    """What a URL answers with; raises as `Outbound.get`, and points at the field."""
    try:
        return context.outbound.get(url, max_bytes=max_bytes, timeout_seconds=FETCH_SECONDS).body
    except (UrlForbidden, UrlUnreachable, UrlTooLarge) as problem:
        problem.errors = [FieldError("#/image_url", problem.detail)]
        raise
