"""HEAD, answered as GET without the body: every route that can be read can be asked after."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadSent(Exception):
    """Nobody is there for what comes after the headers."""


class HeadMiddleware:
    """The innermost, so that whoever stands around it sees the method that was asked by."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            # The server holds an answer to HEAD to no length of its body.
            scope["method"] = "HEAD"
            await send(message)
            await send({"type": "http.response.body", "body": b""})
            raise HeadSent

        scope["method"] = "GET"
        try:
            await self.app(scope, receive, send_head)
        except HeadSent:
            return
        finally:
            scope["method"] = "HEAD"
