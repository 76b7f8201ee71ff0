"""The service behind the tools, as seen by the sender of a request."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from mcp.server import ServerRequestContext

from cinemo_client.aio import AsyncTransport
from cinemo_client.models import File, Video
from cinemo_client.protocol import Connection
from cinemo_client.streams import Saving


@dataclass(frozen=True)
class Backend:
    """Where the service is, and the connections to it, which all requests share."""

    connection: Connection
    http: httpx.AsyncClient


Context = ServerRequestContext[Backend, Any]


def transport_of(context: Context) -> AsyncTransport:
    """Calls the service with the key of a request that came over HTTP, or else with the server's own.

    A request without a key is sent on without one: no caller acts as anybody else.
    """
    backend = context.lifespan_context
    if context.request is None:
        return AsyncTransport(backend.connection, backend.http)
    scheme, _, key = str(context.request.headers.get("authorization", "")).partition(" ")
    given = key.strip() if scheme.lower() == "bearer" and key.isascii() else ""
    return AsyncTransport(replace(backend.connection, api_key=given or None), backend.http)


async def content_of(file: File | Video, transport: AsyncTransport) -> bytes:
    """The bytes of a job's file, once its checksum is right."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        async for _ in transport.stream(Saving(file, path, transport.connection)):
            pass
        return path.read_bytes()
