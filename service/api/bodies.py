"""Reads request bodies within limits of size, time and memory, whatever length the client declares."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from service.api.context import context_of
from service.api.fields import invalid_fields, pointer_to
from service.api.forms import parse_fields, read_parts
from service.api.memory_budget import Reservation
from service.api.strict_json import PICTURE, canonical, parse_object, without_nulls
from service.contract.problems import (
    BodyTooLarge,
    BodyTooSlow,
    FieldError,
    FileProblem,
    ImageTooLarge,
    MalformedBody,
    ServiceBusy,
    UnsupportedBody,
    UploadTooLarge,
    VideoTooLarge,
)
from service.contract.settings import Settings
from service.observability.logs import log_context_value

OVERHEAD_BYTES = 256 * 1024
"""Maximum size of everything but files: the other fields and the multipart framing. Nothing larger is parsed."""
MAX_TEXT_CHARS = 1024 * 1024 + OVERHEAD_BYTES
"""Maximum length of all text fields of a form together; one of them may be a small picture in base64."""
DRAIN_FACTOR = 4
"""Up to this many times the limit, the rest of a rejected body is read and discarded."""
MULTIPART, JSON = "multipart/form-data", "application/json"
FILE_TOO_LARGE: dict[str, type[FileProblem]] = {
    "image": ImageTooLarge,
    "input_reference": ImageTooLarge,
    "video": VideoTooLarge,
    "file": UploadTooLarge,
}


@dataclass(frozen=True)
class Body:
    """A parsed request body.

    Attributes:
        fields: values by name; in a form, all are text.
        files: contents of a form's files, by name.
        typed: whether values have types, as in JSON, where `"1"` and `true` are not numbers.
    """

    fields: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    typed: bool = True

    @property
    def canonical_parts(self) -> tuple[bytes, ...]:
        """The body in a form that is equal for equal bodies, whatever the order of their members and parts."""
        return canonical(self.fields), *(
            part for name in sorted(self.files) for part in (name.encode(), self.files[name])
        )


BODY_PROBLEMS = (MalformedBody, UnsupportedBody, BodyTooLarge, BodyTooSlow, ServiceBusy)


@dataclass(frozen=True)
class Incoming:
    """A request whose body has not been read yet, and the memory reserved for it."""

    request: Request
    settings: Settings
    reservation: Reservation

    @property
    def content_type(self) -> str:
        """The media type, without parameters; raises `MalformedBody` if there are several."""
        given = self.request.headers.getlist("content-type")
        if len(given) > 1:
            raise MalformedBody("Content-Type is given more than once")
        return "".join(given).partition(";")[0].strip().lower()

    def max_bytes(self, limit_bytes: int) -> int:
        """The largest possible body: its declared length, which the server enforces, but at most the limit."""
        declared = self.request.headers.get("content-length", "")
        return min(int(declared), limit_bytes) if declared.isdecimal() else limit_bytes


async def incoming(request: Request) -> Incoming:
    """The request; the middleware releases its reservation after the response, if it has not been released before."""
    context = context_of(request)
    request.state.reservation = Reservation(context.body_memory)
    return Incoming(request, context.settings, request.state.reservation)


IncomingOf = Annotated[Incoming, Depends(incoming)]


@dataclass(frozen=True)
class BodyRules:
    """What a route accepts in a body.

    Attributes:
        file_or_text: form fields that may be a file or text.
        max_text_chars: maximum length of all text fields of a form together.
        pictures: members of a JSON object that may be large.
    """

    file_or_text: Collection[str] = ()
    max_text_chars: int = MAX_TEXT_CHARS
    pictures: Sequence[str] = (PICTURE,)


DEFAULT_RULES = BodyRules()


async def read_body(incoming: Incoming, files: Mapping[str, int], rules: BodyRules = DEFAULT_RULES) -> Body:
    """Read a form, or a JSON object.

    Args:
        incoming: the request.
        files: maximum size in bytes of each file of a form, by name.
        rules: what else the route accepts.

    Raises:
        UnsupportedBody: the body is neither.
        MalformedBody: it can't be parsed.
        BodyTooLarge, ImageTooLarge, VideoTooLarge: it exceeds a size limit.
        BodyTooSlow: it didn't arrive in time.
        ServiceBusy: there is no memory for it.
        InvalidInput: a field is duplicated, a file where text is expected, or the reverse.
    """
    if incoming.content_type == JSON:
        # Base64 encodes three bytes as four.
        return await read_json(incoming, files.get("image", 0) * 4 // 3 + OVERHEAD_BYTES, pictures=rules.pictures)
    if incoming.content_type != MULTIPART:
        raise UnsupportedBody(f"send {MULTIPART} or {JSON}")
    return await read_form(incoming, files, rules)


async def read_form(incoming: Incoming, files: Mapping[str, int], rules: BodyRules = DEFAULT_RULES) -> Body:
    """Read a form; raises like `read_body`."""
    form_limit = sum(files.values()) + OVERHEAD_BYTES
    last = list(files)[-1]
    too_large = FILE_TOO_LARGE[last](f"the {last} is larger than {files[last]:,} bytes")
    limited = await limited_request(incoming, form_limit, too_large)
    try:
        async with (
            asyncio.timeout(incoming.settings.max_body_seconds),
            limited.form(max_files=4, max_fields=64, max_part_size=rules.max_text_chars - OVERHEAD_BYTES) as form,
        ):
            texts, contents = await read_parts(form, files, rules.file_or_text)
            fields = parse_fields(texts)
    except TimeoutError as error:
        raise body_too_slow(incoming.settings) from error
    except (HTTPException, KeyError) as error:
        raise MalformedBody(f"the multipart body cannot be parsed: {getattr(error, 'detail', error)}") from error
    if sum(len(text) for _, text in texts) > rules.max_text_chars:
        raise BodyTooLarge(f"the form's text fields exceed {rules.max_text_chars:,} characters in total")
    for name, data in contents.items():
        if len(data) > files[name]:
            raise FILE_TOO_LARGE[name](f"the {name} is {len(data):,} bytes; the limit is {files[name]:,}")
    return Body(fields, contents, typed=False)


async def read_file(incoming: Incoming, limit_bytes: int) -> bytes:
    """Read the `file` of a form, or any other body as a whole; raises like `read_body`."""
    if incoming.content_type != MULTIPART:
        return await read_bytes(incoming, limit_bytes, UploadTooLarge(f"the file is larger than {limit_bytes:,} bytes"))
    body = await read_form(incoming, {"file": limit_bytes})
    errors = [FieldError(pointer_to(name), "unknown field") for name in body.fields]
    if errors or "file" not in body.files:
        raise invalid_fields(*(errors or [FieldError("#/file", "a file is required")]))
    return body.files["file"]


async def read_json(
    incoming: Incoming,
    limit_bytes: int = OVERHEAD_BYTES,
    keep_nulls: bool = False,
    pictures: Sequence[str] = (PICTURE,),
) -> Body:
    """Read a JSON object, dropping null members unless `keep_nulls`; an empty body counts as an empty object.

    Raises like `read_body`.
    """
    too_large = BodyTooLarge(f"the body is larger than {limit_bytes:,} bytes")
    data = await read_bytes(incoming, limit_bytes, too_large)
    if data and incoming.content_type != JSON:
        raise UnsupportedBody(f"send {JSON}")
    fields = parse_object(data, OVERHEAD_BYTES, pictures) if data else {}
    return Body(fields if keep_nulls else without_nulls(fields))


async def read_bytes(incoming: Incoming, limit_bytes: int, too_large: Exception) -> bytes:
    """Read the whole body."""
    limited = await limited_request(incoming, limit_bytes, too_large)
    try:
        async with asyncio.timeout(incoming.settings.max_body_seconds):
            return await limited.body()
    except TimeoutError as error:
        raise body_too_slow(incoming.settings) from error


async def limited_request(incoming: Incoming, limit_bytes: int, problem: Exception) -> Request:
    """Reserve memory for the body, and return a request that raises `problem` once the body exceeds the limit.

    Raises:
        ServiceBusy: there is no memory for it.
    """
    receive = incoming.request.receive
    coding = incoming.request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedBody(f"content coding {coding[:20]} is not supported; send the body uncompressed")
    if not incoming.reservation.reserve(incoming.max_bytes(limit_bytes), log_context_value("tenant") or ""):
        with suppress(TimeoutError):
            async with asyncio.timeout(incoming.settings.max_body_seconds):
                await discard(receive, DRAIN_FACTOR * limit_bytes)
        raise ServiceBusy("the server is receiving too much data at once; retry later")
    return Request(incoming.request.scope, capped_receive(receive, limit_bytes, problem))


def capped_receive(receive: Receive, limit_bytes: int, problem: Exception) -> Receive:
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received <= limit_bytes:
            return message
        if message.get("more_body"):
            await discard(receive, DRAIN_FACTOR * limit_bytes - received)
        raise problem

    return receive_counted


async def discard(receive: Receive, max_bytes: int) -> None:
    """Read and discard the rest of a body: clients that are still sending would see a reset, not the response."""
    received, more = 0, True
    while more and received < max_bytes:
        message = await receive()
        received += len(message.get("body", b""))
        more = message.get("more_body", False)


def body_too_slow(settings: Settings) -> BodyTooSlow:
    return BodyTooSlow(f"the body did not arrive within {settings.max_body_seconds:g} seconds")
