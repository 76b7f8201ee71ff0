"""Run the API: `python -m service --host 127.0.0.1 --port 8000`."""

import argparse
import asyncio
import socket
import sys
from functools import partial
from typing import cast

import uvicorn

from service.api.app import create_app
from service.api.context import Context
from service.observability.logs import log_uncaught
from service.server.crowd import open_crowd
from service.server.protocol import BoundedProtocol, Bounds


class Server(uvicorn.Server):
    """Lets go whoever waits for a job as soon as it is to stop; other requests are served to their end.

    It listens for a moment more: a connection that balancers or clients have opened meanwhile would else be reset.
    """

    def __init__(self, config: uvicorn.Config, context: Context) -> None:
        super().__init__(config)
        self._context = context

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that this process is not ready, stop listening, and wait for what goes on."""
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
    settings, crowd = context.settings, open_crowd(context.settings.max_connections)
    config = uvicorn.Config(
        app,
        host=arguments.host,
        port=arguments.port,
        http=cast(type[asyncio.Protocol], partial(BoundedProtocol, bounds=Bounds.of(settings), crowd=crowd)),
        # There are none here, and whoever asks for one is answered as if there were no such thing.
        ws="none",
        # What uvicorn logs goes the way of all logs; of each request the middleware tells.
        log_config=None,
        access_log=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        # A client that sends slowly would else keep a process that was told to stop for as long as it likes.
        timeout_graceful_shutdown=settings.request_grace_seconds,
    )
    server = Server(config, context)
    server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
