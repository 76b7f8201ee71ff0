"""Multipart bodies, read with a counted cap: what the client says of its length is never trusted."""

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from service.errors import FieldError, ImageTooLarge, InvalidInput, MalformedBody, UnsupportedBody

# Room for the other fields and the multipart framing beside the image.
FORM_OVERHEAD_BYTES = 256 * 1024
# A client that is refused while it still sends sees a broken connection instead of the answer, so the rest of a
# body up to this many times the cap is read and thrown away.
DRAIN_FACTOR = 4


def capped(receive: Receive, limit_bytes: int, image_limit_bytes: int) -> Receive:
    """A `receive` that raises `ImageTooLarge` once a body has passed the limit."""
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received <= limit_bytes:
            return message
        while message.get("more_body") and received < DRAIN_FACTOR * limit_bytes:
            message = await receive()
            received += len(message.get("body", b""))
        raise ImageTooLarge(f"the image is larger than {image_limit_bytes:,} bytes")

    return receive_counted


async def read_form(request: Request, max_image_bytes: int) -> tuple[bytes, dict[str, str]]:
    """Read a form of one `image` and text fields; returns the image's bytes and the fields.

    Raises:
        UnsupportedBody: not multipart/form-data.
        MalformedBody: multipart that cannot be parsed.
        ImageTooLarge: more bytes than allowed.
        InvalidInput: no image, a field twice, or a file where text belongs.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedBody("send multipart/form-data with an image and a prompt")
    limited = Request(request.scope, capped(request.receive, max_image_bytes + FORM_OVERHEAD_BYTES, max_image_bytes))
    try:
        async with limited.form(max_files=4, max_fields=64) as form:
            fields = text_fields(form)
            image = form.get("image")
            if not isinstance(image, UploadFile):
                raise InvalidInput("there is no image", [FieldError("#/image", "a file is required")])
            data = await image.read()
    except (HTTPException, KeyError) as error:
        raise MalformedBody(f"the multipart body cannot be parsed: {getattr(error, 'detail', error)}") from error
    if len(data) > max_image_bytes:
        raise ImageTooLarge(f"the image is {len(data):,} bytes; allowed are {max_image_bytes:,}")
    return data, fields


def text_fields(form: FormData) -> dict[str, str]:
    """All fields but the image, each of which must be text and stand once."""
    errors, fields = [], {}
    for name, value in form.multi_items():
        if len(form.getlist(name)) > 1:
            errors.append(FieldError(f"#/{name}", "is given more than once"))
        elif name != "image" and not isinstance(value, str):
            errors.append(FieldError(f"#/{name}", "must be text, not a file"))
        elif isinstance(value, str) and name != "image":
            fields[name] = value
    if errors:
        raise InvalidInput("a field of the form is wrong", errors)
    return fields
