"""Builds the server from tools, tasks and resources."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

import httpx
from mcp.server.context import HandlerResult
from mcp.server.lowlevel import Server
from mcp.types import (
    CallToolRequestParams,
    ListToolsResult,
    PaginatedRequestParams,
    ServerCapabilities,
    ServerTasksCapability,
    ServerTasksRequestsCapability,
    TasksCallCapability,
    TasksCancelCapability,
    TasksToolsCapability,
)

from cinemo_client.mcp import resources
from cinemo_client.mcp.backend import Backend, Context
from cinemo_client.mcp.tasks import EXTENSION, TaskParams, Tasks, wants_task
from cinemo_client.mcp.tools import JOB_TOOLS, Tools
from cinemo_client.protocol import Connection

INSTRUCTIONS = (
    "Cinemo makes short videos of photos. Each video is a job, which continues whether or not you wait for it. Show the"
    " user the video's URL."
)


class CinemoServer(Server[Backend]):
    """A server that also declares tasks to clients of protocol 2025-11-25, which the library doesn't."""

    def get_capabilities(self, *args: Any, protocol_version: str | None = None, **options: Any) -> ServerCapabilities:
        capabilities = super().get_capabilities(*args, protocol_version=protocol_version, **options)
        if protocol_version is not None:
            return capabilities
        tools = TasksToolsCapability(call=TasksCallCapability())
        requests = ServerTasksRequestsCapability(tools=tools)
        tasks = ServerTasksCapability(cancel=TasksCancelCapability(), requests=requests)
        return capabilities.model_copy(update={"tasks": tasks})


def build(connection: Connection, tools: Tools) -> CinemoServer:
    """A server whose tools call the service."""
    tasks = Tasks(tools)

    async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=tools.list())

    async def call_tool(context: Context, params: CallToolRequestParams) -> HandlerResult:
        if params.name in JOB_TOOLS and wants_task(context):
            return await tasks.create(context, params)
        return await tools.call(context, params)

    server = CinemoServer(
        "cinemo",
        title="Cinemo",
        version=version("cinemo-client"),
        instructions=INSTRUCTIONS,
        lifespan=lifespan_of(connection),
        on_list_tools=list_tools,
        on_list_resources=resources.list_resources,
        on_list_resource_templates=resources.list_templates,
        on_read_resource=resources.read_resource,
    )
    server.add_request_handler("tools/call", CallToolRequestParams, call_tool)
    server.extensions[EXTENSION] = {}
    server.middleware.append(tasks.experimental)
    for method in ("get", "result", "cancel", "update"):
        server.add_request_handler(f"tasks/{method}", TaskParams, getattr(tasks, method))
    return server


def lifespan_of(connection: Connection) -> Callable[[Server[Backend]], AbstractAsyncContextManager[Backend]]:
    """A lifespan that opens connections to the service and closes them when the server stops."""

    @asynccontextmanager
    async def lifespan(server: Server[Backend]) -> AsyncIterator[Backend]:
        # No limit, as each waiting call holds a connection and any number may wait.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        async with httpx.AsyncClient(limits=limits) as http:
            yield Backend(connection, http)

    return lifespan
