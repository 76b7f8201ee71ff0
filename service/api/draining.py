"""Moves clients away from a process that is about to stop."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.store.watch import JobWatch


class DrainingMiddleware:
    """Closes each connection after its response while draining, so that the next request reaches another process."""

    def __init__(self, app: ASGIApp, watch: JobWatch) -> None:
        self.app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self._watch.draining:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self.app(scope, receive, send_and_close)
