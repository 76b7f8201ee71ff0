"""Run the API: `python -m service --host 127.0.0.1 --port 8000`."""

import argparse
import asyncio
import gc
import socket
import sys
from functools import partial
from typing import cast

import uvicorn

from service.api.app import create_app
from service.api.context import Context
from service.api.tenant_limiter import RequestLimiter
from service.observability.logs import log_uncaught
from service.server.connections import limit_connections
from service.server.protocol import BoundedProtocol, ConnectionLimits


class Server(uvicorn.Server):
    """A server that, when stopped, ends long polls and event streams at once and lets other requests finish.

    It keeps listening for a while, so that connections which load balancers and clients open meanwhile are not reset.
    """

    def __init__(self, config: uvicorn.Config, context: Context) -> None:
        super().__init__(config)
        self._context = context

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Report not ready, later stop listening, and wait for requests to finish."""
        self._context.watch.drain()
        await asyncio.sleep(self._context.settings.drain_seconds)
        await super().shutdown(sockets)


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="The Cinemo API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    log_uncaught()
    app = create_app()
    context: Context = app.state.context
    settings = context.settings
    limits = ConnectionLimits.of(settings)
    connections = limit_connections(settings.max_connections, settings.max_unread_bytes)
    # There may be fewer than set, for lack of file descriptors.
    context.request_limiter.tenant_limit = RequestLimiter.leaving_half(connections.limit).tenant_limit
    config = uvicorn.Config(
        app,
        host=arguments.host,
        port=arguments.port,
        http=cast(type[asyncio.Protocol], partial(BoundedProtocol, limits=limits, connections=connections)),
        # The API has no WebSockets: upgrade requests are treated as ordinary ones.
        ws="none",
        # uvicorn's logs use our handlers, and the middleware logs each request.
        log_config=None,
        access_log=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        # Otherwise a client that sends slowly could keep a stopping process alive forever.
        timeout_graceful_shutdown=settings.request_grace_seconds,
    )
    server = Server(config, context)
    # What is here now stays until the end: each search for garbage would go through all of it.
    gc.collect()
    gc.freeze()
    server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
