"""A path with a slash at its end is the one without: a redirect might lose scheme, prefix or body on its way."""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.storage.local import FILES_PATH

WITH_MEANING = (f"{FILES_PATH}/", "/docs/", "/web/")
"""Names of files, and pages whose links are relative."""


class SlashMiddleware:
    """Before the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.endswith("/") and not path.startswith(WITH_MEANING):
            scope["path"] = path[:-1] or "/"
        await self.app(scope, receive, send)
