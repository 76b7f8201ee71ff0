"""POST /v1/videos and /v1/videos/edits: the same jobs as by POST /animate and /edit, in the dialect."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Response

from service.api import animate, edit
from service.api.auth import AnimateCaller, Caller
from service.api.bodies import Body, IncomingOf, read_body
from service.api.context import Context, ContextOf
from service.api.fields import wrong
from service.api.jobs import find
from service.api.pictures import take_picture
from service.api.v1.content import file_of
from service.api.v1.jobs import POLL_MS
from service.api.v1.retries import RetriedOptionsOf
from service.api.v1.translation import (
    VideoFields,
    leeway,
    lengthened,
    named_as_sent,
    require_picture,
    translate,
)
from service.api.v1.views import Video, view_video
from service.contract.problems import FieldError, NotFound
from service.media.videos import HEAD_BYTES, require_video

router = APIRouter(include_in_schema=False)

PICTURES = ("image", "input_reference")
"""As files."""


@router.post("/v1/videos")
async def create_video(
    incoming: IncomingOf, context: ContextOf, caller: AnimateCaller, submitted: RetriedOptionsOf, response: Response
) -> Video:
    """Animate a photo."""
    settings = context.settings
    caps = dict.fromkeys(PICTURES, settings.max_image_bytes)
    sent = translate(await read_body(incoming, caps, leeway(settings)))
    with named_as_sent(sent.sent_as):
        require_picture(sent.body)
        picture, fields = take_picture(sent.body)
        given = lengthened(animate.parse(VideoFields, fields, sent.body.typed, settings), settings)
        submitted = submitted.claiming(b"/v1/videos", body=sent.body)
        job = await animate.take(picture, given, context, caller, submitted, response)
    response.headers["openai-poll-after-ms"] = str(POLL_MS)
    return view_video(job, context)


@router.post("/v1/videos/edits")
async def edit_video(
    incoming: IncomingOf, context: ContextOf, caller: AnimateCaller, submitted: RetriedOptionsOf, response: Response
) -> Video:
    """Give a video's motion to another first frame."""
    settings = context.settings
    caps = {**dict.fromkeys(PICTURES, settings.max_image_bytes), "video": settings.max_video_bytes}
    sent = translate(await read_body(incoming, caps, leeway(settings)))
    with named_as_sent({**sent.sent_as, edit.UPLOAD_FIELD: "video"}):
        require_picture(sent.body)
        submitted = submitted.claiming(b"/v1/videos/edits", body=sent.body)
        video, rest = take_video(sent.body)
        look = partial(look_up, video, context, caller)
        job = await edit.take(look, rest, context, caller, submitted, response)
    response.headers["openai-poll-after-ms"] = str(POLL_MS)
    return view_video(job, context)


def take_video(body: Body) -> tuple[Any, Body]:
    """The video, or the id of the job that has made it, in an object; and what else the body holds."""
    reference = body.fields.get("video")
    if not isinstance(reference, dict):
        return edit.take_video(body)
    if list(reference) != ["id"] or not isinstance(reference["id"], str):
        raise wrong(FieldError("#/video", "must be a file, or have the id of a video"))
    fields = {name: value for name, value in body.fields.items() if name != "video"}
    return reference, Body(fields, body.files, body.typed)


def look_up(video: bytes | str | dict[str, str], context: Context, caller: Caller) -> edit.Video:
    """The source, whose container is one that the workers read."""
    if not isinstance(video, dict):
        return edit.find_video(video, context, caller)
    try:
        made = file_of(find(video["id"], context, caller), "video", context)
        kind = require_video(context.storage.get_bytes(made.key, 0, HEAD_BYTES))
    except NotFound as problem:
        raise wrong(FieldError("#/video", problem.detail)) from problem
    return edit.Video(kind, made.bytes, key=made.key)
