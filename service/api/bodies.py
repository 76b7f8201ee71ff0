"""Request bodies, read while there is room, with a counted cap and a time limit: what a client says is not trusted."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from service.api.context import ContextOf
from service.api.fields import pointer_to, wrong
from service.api.forms import gather, read_parts
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
"""Room for the other fields, and the multipart framing, beside files; no more is ever parsed or looked through."""
MOST_TEXT = 1024 * 1024 + OVERHEAD_BYTES
"""Of all texts of a form together, of which the largest may be a small picture in base64."""
DRAIN_FACTOR = 4
"""Of a body that is refused, up to so many times the cap is read and thrown away."""
MULTIPART, JSON = "multipart/form-data", "application/json"
FILE_TOO_LARGE: dict[str, type[FileProblem]] = {
    "image": ImageTooLarge,
    "input_reference": ImageTooLarge,
    "video": VideoTooLarge,
    "file": UploadTooLarge,
}


@dataclass(frozen=True)
class Body:
    """What a client sent.

    Attributes:
        fields: by name; of a form all are text.
        files: bytes of a form's files, by name.
        typed: whether values have types of their own, as in JSON, so that `"1"` and `true` are no numbers.
    """

    fields: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    typed: bool = True

    @property
    def sent(self) -> tuple[bytes, ...]:
        """All of it, to tell it from another body: the same whatever the order of its members and parts is."""
        return canonical(self.fields), *(
            part for name in sorted(self.files) for part in (name.encode(), self.files[name])
        )


BODY_PROBLEMS = (MalformedBody, UnsupportedBody, BodyTooLarge, BodyTooSlow, ServiceBusy)


@dataclass(frozen=True)
class Incoming:
    """A request whose body is still to be read, and the place that it takes where bodies are held."""

    request: Request
    settings: Settings
    reservation: Reservation

    @property
    def content_type(self) -> str:
        """The media type that the client names, without its parameters."""
        return self.request.headers.get("content-type", "").partition(";")[0].strip().lower()

    def most_bytes(self, limit_bytes: int) -> int:
        """How many may come: as many as the client says, to which the server holds it, or else as are allowed."""
        told = self.request.headers.get("content-length", "")
        return min(int(told), limit_bytes) if told.isdecimal() else limit_bytes


async def incoming(request: Request, context: ContextOf) -> AsyncIterator[Incoming]:
    """The request, which gives its place back once it has been answered, if not before."""
    reservation = Reservation(context.body_memory)
    try:
        yield Incoming(request, context.settings, reservation)
    finally:
        reservation.release()


IncomingOf = Annotated[Incoming, Depends(incoming)]


@dataclass(frozen=True)
class Leeway:
    """What a body may hold beyond the usual.

    Attributes:
        either: files of a form that may be text instead.
        most_text: characters of all texts of a form together.
        pictures: members of a JSON object that may be large.
    """

    either: Collection[str] = ()
    most_text: int = MOST_TEXT
    pictures: Sequence[str] = (PICTURE,)


NO_LEEWAY = Leeway()


async def read_body(incoming: Incoming, files: Mapping[str, int], leeway: Leeway = NO_LEEWAY) -> Body:
    """Read a form with files, each with its largest size in bytes, or a JSON object.

    Raises:
        UnsupportedBody: neither of them.
        MalformedBody: it cannot be parsed.
        BodyTooLarge, ImageTooLarge, VideoTooLarge: more bytes than allowed.
        BodyTooSlow: it took too long to come.
        ServiceBusy: there is no room for it.
        InvalidInput: a field twice, a file where text belongs, or the other way round.
    """
    kind = incoming.content_type
    if kind == JSON:
        # Base64 makes four bytes of three.
        return await read_json(incoming, files.get("image", 0) * 4 // 3 + OVERHEAD_BYTES, pictures=leeway.pictures)
    if kind != MULTIPART:
        raise UnsupportedBody(f"send {MULTIPART} or {JSON}")
    return await read_form(incoming, files, leeway)


async def read_form(incoming: Incoming, files: Mapping[str, int], leeway: Leeway = NO_LEEWAY) -> Body:
    """Read a form; raises as `read_body`."""
    form_limit = sum(files.values()) + OVERHEAD_BYTES
    last = list(files)[-1]
    too_large = FILE_TOO_LARGE[last](f"the {last} is larger than {files[last]:,} bytes")
    limited = await limit(incoming, form_limit, too_large)
    try:
        async with (
            asyncio.timeout(incoming.settings.max_body_seconds),
            limited.form(max_files=4, max_fields=64, max_part_size=leeway.most_text - OVERHEAD_BYTES) as form,
        ):
            texts, sent = await read_parts(form, files, leeway.either)
            fields = gather(texts)
    except TimeoutError as error:
        raise too_slow(incoming.settings) from error
    except (HTTPException, KeyError) as error:
        raise MalformedBody(f"the multipart body cannot be parsed: {getattr(error, 'detail', error)}") from error
    if sum(len(text) for _, text in texts) > leeway.most_text:
        raise BodyTooLarge(f"the texts of the form have more than {leeway.most_text:,} characters")
    for name, data in sent.items():
        if len(data) > files[name]:
            raise FILE_TOO_LARGE[name](f"the {name} is {len(data):,} bytes; allowed are {files[name]:,}")
    return Body(fields, sent, False)


async def read_file(incoming: Incoming, limit_bytes: int) -> bytes:
    """Read the `file` of a form, or the whole of any other body; raises as `read_body`."""
    if incoming.content_type != MULTIPART:
        return await read_bytes(incoming, limit_bytes, UploadTooLarge(f"at most {limit_bytes:,} bytes"))
    body = await read_form(incoming, {"file": limit_bytes})
    errors = [FieldError(pointer_to(name), "is not known here") for name in body.fields]
    if errors or "file" not in body.files:
        raise wrong(*(errors or [FieldError("#/file", "a file is required")]))
    return body.files["file"]


async def read_json(
    incoming: Incoming,
    limit_bytes: int = OVERHEAD_BYTES,
    keep_nulls: bool = False,
    pictures: Sequence[str] = (PICTURE,),
) -> Body:
    """Read a JSON object, without members that are null unless they are kept; an empty body is an empty object.

    Raises as `read_body`.
    """
    too_large = BodyTooLarge(f"the body is larger than {limit_bytes:,} bytes")
    data = await read_bytes(incoming, limit_bytes, too_large)
    if data and incoming.content_type != JSON:
        raise UnsupportedBody(f"send {JSON}")
    fields = parse_object(data, OVERHEAD_BYTES, pictures) if data else {}
    return Body(fields if keep_nulls else without_nulls(fields))


async def read_bytes(incoming: Incoming, limit_bytes: int, too_large: Exception) -> bytes:
    """The whole body."""
    limited = await limit(incoming, limit_bytes, too_large)
    try:
        async with asyncio.timeout(incoming.settings.max_body_seconds):
            return await limited.body()
    except TimeoutError as error:
        raise too_slow(incoming.settings) from error


async def limit(incoming: Incoming, limit_bytes: int, problem: Exception) -> Request:
    """The request, whose body raises a problem once it has passed a size.

    Raises:
        ServiceBusy: there is no room for the body.
    """
    receive = incoming.request.receive
    coding = incoming.request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedBody(f"the body is sent with content coding {coding[:20]}; send it as it is")
    if not incoming.reservation.reserve(incoming.most_bytes(limit_bytes), log_context_value("tenant") or ""):
        with suppress(TimeoutError):
            async with asyncio.timeout(incoming.settings.max_body_seconds):
                await drain(receive, DRAIN_FACTOR * limit_bytes)
        raise ServiceBusy("as many bytes as this process may hold are being sent to it; ask again")
    return Request(incoming.request.scope, capped(receive, limit_bytes, problem))


def capped(receive: Receive, limit_bytes: int, problem: Exception) -> Receive:
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received <= limit_bytes:
            return message
        if message.get("more_body"):
            await drain(receive, DRAIN_FACTOR * limit_bytes - received)
        raise problem

    return receive_counted


async def drain(receive: Receive, most_bytes: int) -> None:
    """Throw away what a client still sends: one that is refused meanwhile sees a broken connection, not the answer."""
    received, more = 0, True
    while more and received < most_bytes:
        message = await receive()
        received += len(message.get("body", b""))
        more = message.get("more_body", False)


def too_slow(settings: Settings) -> BodyTooSlow:
    return BodyTooSlow(f"the body did not come within {settings.max_body_seconds:g} seconds")
