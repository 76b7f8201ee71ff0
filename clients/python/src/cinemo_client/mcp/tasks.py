"""Jobs as tasks, in the two dialects that clients speak. A task's ID is its job's, so the server is stateless.

`EXTENSION`, `io.modelcontextprotocol/tasks` of protocol 2026-07-28: a client declares that it supports tasks, and gets
one from each tool that creates a job. `EXPERIMENTAL`, protocol 2025-11-25: a client requests a task with each call.
"""

from collections.abc import Callable
from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CallToolResult,
    RequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from cinemo_client import calls
from cinemo_client.aio import AsyncTransport
from cinemo_client.errors import CinemoError, NotFound
from cinemo_client.mcp import answers
from cinemo_client.mcp.backend import Context, transport_of
from cinemo_client.mcp.tools import JOB_TOOLS, Tools
from cinemo_client.models import AnimateJob, EditJob, Job, JobStatus
from cinemo_client.protocol import ENDED, Call, until_ended

EXTENSION = "io.modelcontextprotocol/tasks"
EXPERIMENTAL = "2025-11-25"
"""The only protocol version with tasks in the protocol itself."""
RELATED = "io.modelcontextprotocol/related-task"
POLL_MILLISECONDS = 2000

STOPPED = {JobStatus.CANCELING, JobStatus.CANCELED}


class TaskParams(RequestParams):
    """Parameters that identify a task."""

    task_id: str


def is_modern(context: Context) -> bool:
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS


def wants_task(context: Context) -> bool:
    """Whether to return a task to the client of a modern request."""
    declared = context.session.client_capabilities
    return is_modern(context) and declared is not None and EXTENSION in (declared.extensions or {})


def common_fields(job: Job) -> dict[str, Any]:
    """The fields of a task in both dialects."""
    return {
        "taskId": job.id,
        "statusMessage": answers.summary_of(job),
        "createdAt": job.created_at.isoformat(),
        "lastUpdatedAt": (job.finished_at or job.started_at or job.created_at).isoformat(),
    }


def lifetime(job: Job) -> int | None:
    """Milliseconds for which the service keeps a job's record, from its creation; unknown until it has ended."""
    return round((job.expires_at - job.created_at).total_seconds() * 1000) if job.expires_at else None


def task(job: Job) -> dict[str, Any]:
    """A job as a task of the extension. A job that failed is a completed task, with an error of the tool."""
    status = "cancelled" if job.status in STOPPED else "completed" if job.status in ENDED else "working"
    return {**common_fields(job), "status": status, "ttlMs": lifetime(job), "pollIntervalMs": POLL_MILLISECONDS}


def experimental_task(job: Job) -> dict[str, Any]:
    """A job as a task of protocol 2025-11-25."""
    ended = "completed" if job.status is JobStatus.SUCCEEDED else "failed"
    status = "cancelled" if job.status in STOPPED else ended if job.status in ENDED else "working"
    return {**common_fields(job), "status": status, "ttl": lifetime(job), "pollInterval": POLL_MILLISECONDS}


async def result_of(job: Job, transport: AsyncTransport) -> CallToolResult:
    """What the call would have returned without a task."""
    result = await answers.job_result(job, transport)
    return result.model_copy(update={"is_error": job.status is not JobStatus.SUCCEEDED})


def wire(result: CallToolResult) -> dict[str, Any]:
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


async def fetch_job(task_id: str, transport: AsyncTransport) -> Job:
    """The job of a task.

    Raises:
        MCPError: there is none, or the service returned an error.
    """
    return await call_for(calls.get_job, task_id, transport)


async def call_for(operation: Callable[[str], Call[Job]], task_id: str, transport: AsyncTransport) -> Job:
    try:
        job = await transport.call(operation(task_id))
    except NotFound as error:
        raise MCPError(INVALID_PARAMS, f"there is no such task: {error}") from error
    except CinemoError as error:
        raise MCPError(INTERNAL_ERROR, answers.describe_error(error)) from error
    if not isinstance(job, AnimateJob | EditJob):
        raise MCPError(INVALID_PARAMS, f"there is no such task: {job.id} trains a model")
    return job


class Tasks:
    """Answers requests about tasks, and creates tasks in place of results."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def create(self, context: Context, params: CallToolRequestParams) -> HandlerResult:
        """Start a call as a task of the extension; an error is returned as the call's result."""
        try:
            job = await self._tools.submit(params, transport_of(context))
        except CinemoError as error:
            return answers.error_result(error)
        return {"resultType": "task", **task(job)}

    async def experimental(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle a call of protocol 2025-11-25 that requests a task; pass all others on.

        This is a middleware because a handler of `tools/call` can't return a task in this version.
        """
        requests_task = ctx.method == "tools/call" and (ctx.params or {}).get("task") is not None
        if not requests_task or ctx.protocol_version != EXPERIMENTAL:
            return await call_next(ctx)
        params = CallToolRequestParams.model_validate(ctx.params, by_name=False)
        if params.name not in JOB_TOOLS:
            raise MCPError(METHOD_NOT_FOUND, f"{params.name} can't be a task")
        try:
            job = await self._tools.submit(params, transport_of(ctx))
        except CinemoError as error:
            raise MCPError(INVALID_PARAMS, answers.describe_error(error)) from error
        return {"task": experimental_task(job)}

    async def get(self, context: Context, params: TaskParams) -> HandlerResult:
        """`tasks/get`: a task's state, in the extension with its result."""
        transport = self._transport(context)
        job = await fetch_job(params.task_id, transport)
        if not is_modern(context):
            return experimental_task(job)
        state = task(job)
        return {**state, "result": wire(await result_of(job, transport))} if state["status"] == "completed" else state

    async def result(self, context: Context, params: TaskParams) -> HandlerResult:
        """`tasks/result` of protocol 2025-11-25: a task's result, once there is one."""
        if is_modern(context):
            raise MCPError(METHOD_NOT_FOUND, "Method not found", context.method)
        transport = self._transport(context)
        job = await fetch_job(params.task_id, transport)
        try:
            ended = until_ended(lambda wait: calls.get_job(job.id, wait), transport.connection, None)
            result = await result_of(await transport.run(ended), transport)
        except CinemoError as error:
            raise MCPError(INTERNAL_ERROR, answers.describe_error(error)) from error
        return {**wire(result), "_meta": {RELATED: {"taskId": job.id}}}

    async def cancel(self, context: Context, params: TaskParams) -> HandlerResult:
        """`tasks/cancel`: cancel the job."""
        transport = self._transport(context)
        job = await call_for(calls.cancel_job, params.task_id, transport)
        if is_modern(context):
            return {}
        if job.status not in STOPPED:
            raise MCPError(INVALID_PARAMS, f"{job.id} has already ended as {job.status}")
        return experimental_task(job)

    async def update(self, context: Context, params: TaskParams) -> HandlerResult:
        """`tasks/update` of the extension: these tasks never request input, so it is ignored."""
        if not is_modern(context):
            raise MCPError(METHOD_NOT_FOUND, "Method not found", context.method)
        await fetch_job(params.task_id, self._transport(context))
        return {}

    def _transport(self, context: Context) -> AsyncTransport:
        """A transport for a client that may use tasks.

        Raises:
            MCPError: its protocol has no tasks, or it hasn't declared that it supports them.
        """
        if is_modern(context) and not wants_task(context):
            required: dict[str, Any] = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
            raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "Missing required client capability", required)
        if not is_modern(context) and context.protocol_version != EXPERIMENTAL:
            raise MCPError(METHOD_NOT_FOUND, "Method not found", context.method)
        return transport_of(context)
