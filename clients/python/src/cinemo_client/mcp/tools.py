"""The tools: what each is for, and what it does."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolRequestParams, CallToolResult, Tool, ToolAnnotations, ToolExecution
from pydantic import ValidationError

from cinemo_client import calls
from cinemo_client.aio import AsyncJobHandle, AsyncTransport
from cinemo_client.errors import CinemoError, WaitTimedOut
from cinemo_client.handles import file_of
from cinemo_client.mcp import answers
from cinemo_client.mcp.arguments import (
    CancelArguments,
    NoArguments,
    StatusArguments,
    as_sent,
    files_named,
    job_schema,
    require_one_source,
    schema_of,
)
from cinemo_client.mcp.backend import Context, content_of, transport_of
from cinemo_client.models import Job
from cinemo_client.protocol import Call, until_ended

LISTED_JOBS = 10

ANIMATE = (
    "Turn a photo and a sentence into a short video. Give the photo in exactly one way, and say in `prompt` what"
    " happens in the video, such as `the camera pans left`. The other parameters have good defaults."
)
EDIT = (
    "Give the motion of a video to another first frame. Give the video in exactly one way, and the photo in exactly"
    " one way; the photo is best the video's own first frame, edited."
)
WAITING = (
    " This takes seconds to minutes. If the video isn't finished after {seconds:g} seconds, you get the job's ID, and"
    " the job goes on: follow it with `status`."
)
STATUS = "Where a job stands, with its video once it has succeeded; or your newest jobs."
CANCEL = "Stop a job. It stops before its next step; what it made so far is lost."
MODELS = "The models that `animate` and `edit` can use, the default one first."

JOB_TOOLS = ("animate", "edit")
"""Tools whose work takes a while: they make a job."""


@dataclass(frozen=True)
class Tools:
    """The tools of one server.

    Args:
        folders: Files below them can be named by their paths.
        wait_seconds: How long a call waits for its job where the client doesn't support tasks.
    """

    folders: tuple[Path, ...] = ()
    wait_seconds: float = 45

    def list(self) -> list[Tool]:
        """Their declarations."""
        waiting = WAITING.format(seconds=self.wait_seconds)
        return [self.job_tool("animate", ANIMATE + waiting), self.job_tool("edit", EDIT + waiting), *SMALL_TOOLS]

    def job_tool(self, name: str, description: str) -> Tool:
        return Tool(
            name=name,
            description=description,
            input_schema=job_schema(name, self.folders),
            annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
            execution=ToolExecution(task_support="optional"),
        )

    async def call(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """Do what a tool does; what the service refuses is told to the model.

        Raises:
            MCPError: there is no such tool.
        """
        transport = transport_of(context)
        try:
            if params.name in JOB_TOOLS:
                job = await self.submit(params, transport)
                return await answers.answer(await self.followed(context, job, transport), transport)
            if (tool := SMALL.get(params.name)) is not None:
                return await tool(params.arguments or {}, transport)
        except (CinemoError, ValidationError) as error:
            return answers.refused(error)
        raise MCPError(INVALID_PARAMS, f"there is no tool {params.name}")

    async def submit(self, params: CallToolRequestParams, transport: AsyncTransport) -> Job:
        """Make the job of a call.

        Raises:
            CinemoError: the service refuses it.
        """
        fields = dict(params.arguments or {})
        files = files_named(fields, self.folders)
        if (source := fields.pop("video_job_id", None)) is not None:
            require_one_source("video", files, "video_path", "video_job_id")
            job = await transport.call(calls.get_job(str(source)))
            files["video"] = await content_of(file_of(job, "video"), transport)
        headers, body = calls.terms(None, None), as_sent(fields, files)
        return await transport.call(Call("POST", f"/{params.name}", calls.read_job, headers=headers, body=body))

    async def followed(self, context: Context, job: Job, transport: AsyncTransport) -> Job:
        """Report a job's progress until it has ended, or for as long as a call waits; returns where it stands.

        A job goes on whether or not somebody waits. So if the service can't be reached for now, what was known last
        is told, above all the ID.
        """
        handle = AsyncJobHandle(job, transport)
        reported = 0.0
        await context.session.report_progress(reported, 1.0, f"{job.id} is {job.status}")
        with suppress(CinemoError):
            with anyio.move_on_after(self.wait_seconds):
                async for event in handle.events():
                    fraction = float(event.data.get("fraction") or 0)
                    if fraction > reported:
                        reported = fraction
                        await context.session.report_progress(reported, 1.0, f"{job.id}: {event.data['message']}")
            await handle.refresh()
        return handle.job


async def status(given: dict[str, Any], transport: AsyncTransport) -> CallToolResult:
    arguments = StatusArguments.model_validate(given)
    if arguments.job_id is None:
        page = await transport.call(calls.list_jobs(None, None, None, None, None, LISTED_JOBS))
        return answers.listed(page.jobs)
    return await answers.answer(await job_after(arguments.job_id, arguments.wait_seconds, transport), transport)


async def job_after(job_id: str, seconds: int, transport: AsyncTransport) -> Job:
    """A job once it has ended, or as it is after so many seconds."""
    try:
        return await transport.run(until_ended(lambda wait: calls.get_job(job_id, wait), transport.connection, seconds))
    except WaitTimedOut as timed_out:
        return timed_out.job


async def cancel(given: dict[str, Any], transport: AsyncTransport) -> CallToolResult:
    job = await transport.call(calls.cancel_job(CancelArguments.model_validate(given).job_id))
    return await answers.answer(job, transport)


async def models(given: dict[str, Any], transport: AsyncTransport) -> CallToolResult:
    NoArguments.model_validate(given)
    return answers.models(await transport.call(calls.list_models()))


SMALL: dict[str, Callable[[dict[str, Any], AsyncTransport], Awaitable[CallToolResult]]] = {
    "status": status,
    "cancel": cancel,
    "models": models,
}
SMALL_TOOLS = (
    Tool(
        name="status",
        description=STATUS,
        input_schema=schema_of(StatusArguments),
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    ),
    Tool(
        name="cancel",
        description=CANCEL,
        input_schema=schema_of(CancelArguments),
        annotations=ToolAnnotations(destructive_hint=True, idempotent_hint=True, open_world_hint=False),
    ),
    Tool(
        name="models",
        description=MODELS,
        input_schema=schema_of(NoArguments),
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    ),
)
