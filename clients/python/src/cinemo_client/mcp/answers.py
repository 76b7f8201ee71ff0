"""Results of tools: jobs, models and errors as text, with structured data, links and a picture."""

import base64
import json
from importlib.resources import files
from typing import Any

from mcp.types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cinemo_client.aio import AsyncTransport
from cinemo_client.errors import CinemoError
from cinemo_client.mcp.backend import content_of
from cinemo_client.models import AnimateJob, EditJob, File, Job, JobStatus, Model, TrainJob, Video, VideoOutput
from cinemo_client.protocol import ENDED

WORDS: dict[str, str] = json.loads(files(__package__).joinpath("words.json").read_text())
"""By the type of pydantic's error; from the service, by `make generate`."""
FILES = ("video", "poster", "spritesheet", "manifest", "credentials")
FOLLOW = " Call `status` with its ID, and `wait_seconds`, to follow it."
MAX_PICTURE_BYTES = 2**20
"""Of a picture within a result; a sprite sheet has about a fifth of this."""


def uri_of(job_id: str, name: str) -> str:
    """The URI of a job's file as a resource."""
    return f"cinemo://jobs/{job_id}/{name}"


def files_of(job: Job) -> dict[str, File | Video]:
    """A job's files that can still be downloaded, by name."""
    output = None if isinstance(job, TrainJob) or job.data_removed else job.output
    found = {name: getattr(output, name, None) for name in FILES}
    return {name: file for name, file in found.items() if file is not None}


async def job_result(job: Job, transport: AsyncTransport) -> CallToolResult:
    """A job's state; if it succeeded, also its files and a picture, so that a model can see the motion."""
    links: list[ContentBlock] = [
        ResourceLink(uri=uri_of(job.id, name), name=f"{job.id} {name}", mime_type=file.content_type, size=file.bytes)
        for name, file in files_of(job).items()
    ]
    text: list[ContentBlock] = [TextContent(text=summary_of(job) + ("" if job.status in ENDED else FOLLOW))]
    return CallToolResult(content=text + await picture(job, transport) + links, structured_content=data(job))


async def picture(job: Job, transport: AsyncTransport) -> list[ContentBlock]:
    """The sprite sheet of a job's video, or its poster; none if the download fails, as the result has links too."""
    found = files_of(job)
    file = found.get("spritesheet") or found.get("poster")
    if file is None or file.bytes > MAX_PICTURE_BYTES:
        return []
    try:
        content = await content_of(file, transport)
    except CinemoError:
        return []
    return [ImageContent(data=base64.b64encode(content).decode(), mime_type=file.content_type)]


def summary_of(job: Job) -> str:
    """A job in a few sentences."""
    if job.status is JobStatus.SUCCEEDED:
        return f"{job.id} succeeded. {outcome_of(job)}"
    if job.status in ENDED:
        error = f" with {job.error.code}: {job.error.message}" if job.error else "."
        again = " The same job may succeed if sent again." if job.error and job.error.retryable else ""
        return f"{job.id} ended as {job.status}{error}{again}"
    steps = f": {job.progress.message}" if job.progress else ""
    queue = f", number {job.queue_position} in its queue" if job.queue_position else ""
    eta = f" It should end at {job.eta:%H:%M:%S} UTC." if job.eta else ""
    return f"{job.id} is {job.status}{queue}{steps}.{eta}"


def outcome_of(job: Job) -> str:
    if job.data_removed:
        return "Its files have been deleted."
    if isinstance(job, TrainJob):
        return f"The new model is {job.output.model}." if job.output else ""
    if job.output is None:
        return ""
    video = job.output.video
    return (
        f"The video is {video.seconds:g} seconds of {video.width} × {video.height} pixels, with seed"
        f" {getattr(job.request, 'seed', 'none')}, made by model {job.request.model}. Anyone can download it until"
        f" {video.url_expires_at:%Y-%m-%d %H:%M} UTC at {video.url}"
    )


def data(job: Job) -> dict[str, Any]:
    """A job as structured data, without the parts of its record that agents don't need."""
    output = job.output if isinstance(job, AnimateJob | EditJob) and not job.data_removed else None
    whole = job.model_dump(mode="json", include={"id", "kind", "status", "created_at", "eta", "error", "metadata"})
    return {
        "job_id": whole.pop("id"),
        **whole,
        "queue_position": job.queue_position,
        "progress": job.progress.fraction if job.progress else None,
        "video": video_data(output) if isinstance(output, VideoOutput) else None,
        "resources": {name: uri_of(job.id, name) for name in files_of(job)},
    }


def video_data(output: VideoOutput) -> dict[str, Any]:
    return output.video.model_dump(mode="json", exclude={"sha256"})


def job_list(jobs: list[Job]) -> CallToolResult:
    """Jobs, one per line."""
    lines = [f"{job.id} {job.kind} {job.status} {job.created_at:%Y-%m-%d %H:%M} UTC" for job in jobs]
    text = "\n".join(lines) or "You have no jobs yet."
    return CallToolResult(content=[TextContent(text=text)], structured_content={"jobs": [data(job) for job in jobs]})


def model_list(found: list[Model]) -> CallToolResult:
    """Models, one per line."""
    lines = [f"{model.model}{' (default)' if model.default else ''}{size(model)}" for model in found]
    entries = [model.model_dump(mode="json", exclude_none=True) for model in found]
    return CallToolResult(content=[TextContent(text="\n".join(lines))], structured_content={"models": entries})


def size(model: Model) -> str:
    return f", {model.width} × {model.height}, {model.num_inference_steps} steps" if model.width else ""


def error_result(error: CinemoError | ValidationError) -> CallToolResult:
    """An error that the model can act on."""
    text = describe_error(error) if isinstance(error, CinemoError) else describe_invalid(error)
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


def describe_error(error: CinemoError) -> str:
    """What went wrong, in which fields, and whether to retry."""
    fields = [f"- {each.pointer.removeprefix('#/')}: {each.detail}" for each in error.errors]
    again = f" Try again{f' in {error.retry_after:g} seconds' if error.retry_after else ''}." if error.retryable else ""
    request = f" Request {error.request_id}." if error.request_id else ""
    return "\n".join([f"{error} ({error.code}).{again}{request}", *fields])


def describe_invalid(error: ValidationError) -> str:
    """The invalid arguments, and what is wrong with each, in the service's words."""
    return "\n".join(f"- {'.'.join(map(str, each['loc']))}: {in_words(each)}" for each in error.errors())


def in_words(error: ErrorDetails) -> str:
    words = WORDS.get(error["type"])
    return words.format(**error.get("ctx", {})) if words else error["msg"]
