"""The tools: their descriptions and what they do."""

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
    job_schema,
    request_body,
    require_one_source,
    schema_of,
    take_files,
    without_omitted,
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
    " the job continues: follow it with `status`."
)
STATUS = "Where a job stands, with its video once it has succeeded; or your newest jobs."
CANCEL = "Stop a job. It stops before its next step; what it made so far is lost."
MODELS = "The models that `animate` and `edit` can use, the default one first."

JOB_TOOLS = ("animate", "edit")
"""Tools that create a job."""


@dataclass(frozen=True)
class Tools:
    """The tools of one server.

    Args:
        folders: Their files can be given by path.
        wait_seconds: How long a call waits for its job where the client doesn't support tasks.
    """

    folders: tuple[Path, ...] = ()
    wait_seconds: float = 45

    def list(self) -> list[Tool]:
        """The declarations of all tools."""
        waiting = WAITING.format(seconds=self.wait_seconds)
        return [self.job_tool("animate", ANIMATE + waiting), self.job_tool("edit", EDIT + waiting), *OTHER_TOOLS]

    def job_tool(self, name: str, description: str) -> Tool:
        return Tool(
            name=name,
            description=description,
            input_schema=job_schema(name, self.folders),
            annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
            execution=ToolExecution(task_support="optional"),
        )

    async def call(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """Call a tool. Errors of the service are part of the result, for the model to act on.

        Raises:
            MCPError: there is no such tool.
        """
        transport = transport_of(context)
        try:
            if params.name in JOB_TOOLS:
                job = await self.submit(params, transport)
                return await answers.job_result(await self.follow(context, job, transport), transport)
            if (tool := HANDLERS.get(params.name)) is not None:
                return await tool(without_omitted(params.arguments), transport)
        except (CinemoError, ValidationError) as error:
            return answers.error_result(error)
        raise MCPError(INVALID_PARAMS, f"there is no tool {params.name}")

    async def submit(self, params: CallToolRequestParams, transport: AsyncTransport) -> Job:
        """Create the job of a call.

        Raises:
            CinemoError: the service rejects it.
        """
        fields = without_omitted(params.arguments)
        files = take_files(fields, self.folders)
        if (source := fields.pop("video_job_id", None)) is not None:
            require_one_source("video", files, "video_path", "video_job_id")
            job = await transport.call(calls.get_job(str(source)))
            files["video"] = await content_of(file_of(job, "video"), transport)
        headers, body = calls.job_headers(None, None), request_body(fields, files)
        return await transport.call(Call("POST", f"/{params.name}", calls.parse_job, headers=headers, body=body))

    async def follow(self, context: Context, job: Job, transport: AsyncTransport) -> Job:
        """Report a job's progress until it has ended or `wait_seconds` are over; returns its current state.

        The job continues whether or not somebody waits. So if the service is unreachable, the last known state is
        returned, as the model needs the job's ID.
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
        return answers.job_list(page.jobs)
    return await answers.job_result(await wait_for(arguments.job_id, arguments.wait_seconds, transport), transport)


async def wait_for(job_id: str, seconds: int, transport: AsyncTransport) -> Job:
    """A job once it has ended, or its state after that many seconds."""
    try:
        return await transport.run(until_ended(lambda wait: calls.get_job(job_id, wait), transport.connection, seconds))
    except WaitTimedOut as timed_out:
        return timed_out.job


async def cancel(given: dict[str, Any], transport: AsyncTransport) -> CallToolResult:
    job = await transport.call(calls.cancel_job(CancelArguments.model_validate(given).job_id))
    return await answers.job_result(job, transport)


async def models(given: dict[str, Any], transport: AsyncTransport) -> CallToolResult:
    NoArguments.model_validate(given)
    return answers.model_list(await transport.call(calls.list_models()))


HANDLERS: dict[str, Callable[[dict[str, Any], AsyncTransport], Awaitable[CallToolResult]]] = {
    "status": status,
    "cancel": cancel,
    "models": models,
}
OTHER_TOOLS = (
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
