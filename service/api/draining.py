"""What clients are told by a process that is about to stop: to take their next request elsewhere."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.store.watch import JobWatch


class DrainingMiddleware:
    """Closes connections with their answers, so that the next one leads to a process that goes on."""

    def __init__(self, app: ASGIApp, watch: JobWatch) -> None:
        self.app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and self._watch.draining:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self.app(scope, receive, send_last)
