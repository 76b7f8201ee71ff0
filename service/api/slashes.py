"""Ignores a trailing slash, instead of redirecting, which could lose scheme, prefix or body behind a proxy."""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.storage.local import FILES_PATH

SIGNIFICANT = (f"{FILES_PATH}/", "/docs/", "/web/")
"""Paths where a trailing slash matters: file names, and pages with relative links."""


class SlashMiddleware:
    """Strips the trailing slash before routing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.endswith("/") and not path.startswith(SIGNIFICANT):
            scope["path"] = path[:-1] or "/"
        await self.app(scope, receive, send)
