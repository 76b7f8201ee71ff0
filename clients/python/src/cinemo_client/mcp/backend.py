"""The service behind the tools, called with the key of whoever sent the MCP request."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from mcp.server import ServerRequestContext

from cinemo_client.aio import AsyncTransport
from cinemo_client.models import File, Video
from cinemo_client.protocol import Connection
from cinemo_client.streams import Download


@dataclass(frozen=True)
class Backend:
    """The service's URL, and the HTTP connections that all requests share."""

    connection: Connection
    http: httpx.AsyncClient


Context = ServerRequestContext[Backend, Any]


def transport_of(context: Context) -> AsyncTransport:
    """A transport with the key of the HTTP request, or over stdio with the server's own.

    A request without a key is forwarded without one, so no caller can use another's.
    """
    backend = context.lifespan_context
    if context.request is None:
        return AsyncTransport(backend.connection, backend.http)
    scheme, _, key = str(context.request.headers.get("authorization", "")).partition(" ")
    token = key.strip() if scheme.lower() == "bearer" and key.isascii() else ""
    return AsyncTransport(replace(backend.connection, api_key=token or None), backend.http)


async def content_of(file: File | Video, transport: AsyncTransport) -> bytes:
    """Download a job's file and verify its checksum; returns its content."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        async for _ in transport.stream(Download(file, path, transport.connection)):
            pass
        return path.read_bytes()
