"""Makes every GET route respond to HEAD with the same headers."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadSent(Exception):
    """Stops a route once the headers are sent: nobody reads the body."""


class HeadMiddleware:
    """Must be the innermost middleware, so that all others see the request's own method."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            # The server doesn't check the length of a body that responds to HEAD.
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
