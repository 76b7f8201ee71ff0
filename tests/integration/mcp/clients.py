"""The official client of the Model Context Protocol, over both transports, with and without tasks.

It knows tasks by a small extension of its own, as it ships with none.
"""

import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx2
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Request, RequestParams, Result
from pydantic import RootModel

from cinemo_client.mcp.tasks import EXPERIMENTAL, EXTENSION
from deploy.local.redis import free_port
from tests.processes import PYTHON, running

Answer = RootModel[dict[str, Any]]


class CreatedTask(Result):
    """What a call returns to a client that supports tasks."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    ttl_ms: int | None
    poll_interval_ms: int


class KnowsTasks(ClientExtension):
    """Declares that the client supports tasks, and accepts them."""

    identifier = EXTENSION

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return (ResultClaim(result_type="task", model=CreatedTask, resolve=unresolved),)


async def unresolved(created: CreatedTask, context: ClaimContext) -> CallToolResult:
    raise AssertionError("these tests ask for results themselves")


class TaskParams(RequestParams):
    """Names a task."""

    task_id: str


class TaskRequest(Request[TaskParams, str]):
    """A request about a task."""

    name_param = "taskId"


async def about(client: Client, method: str, task_id: str) -> dict[str, Any]:
    """The server's JSON response to a request about a task."""
    request = TaskRequest(method=f"tasks/{method}", params=TaskParams(task_id=task_id))
    return (await client.session.send_request(request, Answer)).root


def asked_earlier(url: str, method: str, **params: Any) -> dict[str, Any]:
    """The server's response in the protocol of 2025-11-25, whose tasks the official client can't parse."""
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": EXPERIMENTAL}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = httpx2.post(url, headers=headers, json=message, timeout=60).raise_for_status()
    (line,) = [line for line in answer.text.splitlines() if line.startswith("data: {")]
    said = Answer.model_validate_json(line.removeprefix("data: ")).root
    return {"error": said["error"]} if "error" in said else said["result"]


@contextmanager
def serving(url: str, folder: Path, own_key: str | None = None) -> Iterator[str]:
    """A server over HTTP, in front of the service at the URL; its own key must not be used for others."""
    port = free_port()

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    command = [PYTHON, "-m", "cinemo_client.mcp.command", "--http", "--port", str(port), "--url", url]
    environment = {**os.environ, **({"CINEMO_API_KEY": own_key} if own_key else {})}
    with running(command, folder / "mcp.log", listens, environment):
        yield f"http://127.0.0.1:{port}/mcp"


@asynccontextmanager
async def over_http(
    url: str, key: str | None = None, mode: str = "auto", extensions: Sequence[ClientExtension] = ()
) -> AsyncIterator[Client]:
    """A client that sends a key with each request."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, extensions=extensions) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(
    url: str, *options: str, key: str | None = None, mode: str = "auto", extensions: Sequence[ClientExtension] = ()
) -> AsyncIterator[Client]:
    """A client that has started its own server."""
    environment = {**os.environ, **({"CINEMO_API_KEY": key} if key else {})}
    command = ["-m", "cinemo_client.mcp.command", "--url", url, *options]
    server = StdioServerParameters(command=sys.executable, args=command, env=environment)
    async with Client(stdio_client(server), mode=mode, extensions=extensions) as client:
        yield client
