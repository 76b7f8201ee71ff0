"""POST /v1/videos and /v1/videos/edits: POST /animate and /edit, in the dialect."""

from functools import partial
from typing import Any

from fastapi import Response

from service.api import animate, edit
from service.api.auth import AnimateCaller, Caller
from service.api.bodies import Body, IncomingOf, read_body
from service.api.context import Context, ContextOf
from service.api.drafts import create_job
from service.api.fields import invalid_fields
from service.api.jobs import find_job
from service.api.pictures import split_picture
from service.api.routes import new_hidden_router
from service.api.v1.content import find_file
from service.api.v1.jobs import POLL_MS
from service.api.v1.retries import RetriedSubmissionOf
from service.api.v1.translation import (
    VideoFields,
    apply_length,
    body_rules,
    client_field_names,
    require_picture,
    translate,
)
from service.api.v1.views import Video, view_video
from service.contract.problems import FieldError, NotFound
from service.media.videos import HEAD_BYTES, require_video

router = new_hidden_router()

PICTURE_FILES = ("image", "input_reference")


@router.post("/v1/videos")
async def create_video(
    incoming: IncomingOf, context: ContextOf, caller: AnimateCaller, submission: RetriedSubmissionOf, response: Response
) -> Video:
    """Animate a photo."""
    settings = context.settings
    caps = dict.fromkeys(PICTURE_FILES, settings.max_image_bytes)
    translated = translate(await read_body(incoming, caps, body_rules(settings)))
    with client_field_names(translated.client_names):
        require_picture(translated.body)
        picture, fields = split_picture(translated.body)
        given = apply_length(animate.parse(VideoFields, fields, translated.body.typed, settings), settings)
        submission = submission.with_body(b"/v1/videos", body=translated.body)
        prepare = partial(animate.prepare_draft, picture, given, context, caller)
        job = await create_job(submission, context, caller, response, prepare)
    response.headers["openai-poll-after-ms"] = str(POLL_MS)
    return view_video(job, context)


@router.post("/v1/videos/edits")
async def edit_video(
    incoming: IncomingOf, context: ContextOf, caller: AnimateCaller, submission: RetriedSubmissionOf, response: Response
) -> Video:
    """Apply a video's motion to another first frame."""
    settings = context.settings
    caps = {**dict.fromkeys(PICTURE_FILES, settings.max_image_bytes), "video": settings.max_video_bytes}
    translated = translate(await read_body(incoming, caps, body_rules(settings)))
    with client_field_names({**translated.client_names, edit.UPLOAD_FIELD: "video"}):
        require_picture(translated.body)
        submission = submission.with_body(b"/v1/videos/edits", body=translated.body)
        video, rest = split_video(translated.body)
        find = partial(find_video, video, context, caller)
        prepare = edit.preparation(find, rest, context, caller)
        job = await create_job(submission, context, caller, response, prepare)
    response.headers["openai-poll-after-ms"] = str(POLL_MS)
    return view_video(job, context)


def split_video(body: Body) -> tuple[Any, Body]:
    """Split a body into its video, which may be an object with the ID of an earlier job, and the rest."""
    reference = body.fields.get("video")
    if not isinstance(reference, dict):
        return edit.split_video(body)
    video_id = reference.get("id")
    if len(reference) != 1 or not isinstance(video_id, str) or not video_id.isascii():
        raise invalid_fields(FieldError("#/video", "must be a file, or an object with the `id` of a video"))
    fields = {name: value for name, value in body.fields.items() if name != "video"}
    return reference, Body(fields, body.files, body.typed)


def find_video(video: bytes | str | dict[str, str], context: Context, caller: Caller) -> edit.Video:
    """Find the source video, and check its container."""
    if not isinstance(video, dict):
        return edit.find_video(video, context, caller)
    try:
        output = find_file(find_job(video["id"], context, caller), "video", context)
        kind = require_video(context.storage.get_bytes(output.key, 0, HEAD_BYTES))
    except NotFound as problem:
        raise invalid_fields(FieldError("#/video", problem.detail)) from problem
    return edit.Video(kind, output.bytes, key=output.key)
