"""Where no key is asked for, a browser's own user must not be made to ask: other sites' pages, and names that lie.

A page of another site may send a form, or be reached by a name that it has let stand for this machine (DNS rebinding).
Of the first the browser tells by `Sec-Fetch-Site` or `Origin`, of the second by `Host`. Whoever is no browser sends
neither, and a name or an address that the service is called by.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import respond
from service.contract.problems import CrossSite, HostUnknown, Problem
from service.contract.settings import Settings
from service.outbound.addresses import parse_address
from service.storage.local import FILES_PATH

ANYBODY = "*"
OWN = ("same-origin", "none")
"""Of `Sec-Fetch-Site`: the service's own page, and what the user has typed or chosen."""


class ForeignersMiddleware:
    """Turns away what a browser sends on behalf of somebody else; the origins that settings name are let in."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._origins = frozenset(
            {*settings.trusted_origins, *settings.cors_origins, origin_of(settings.public_base_url)}
        )
        self._names = {urlsplit(each).hostname for each in self._origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._judge(scope) if scope["type"] == "http" and ANYBODY not in self._origins else None
        if problem is None:
            await self.app(scope, receive, send)
        else:
            await respond(Request(scope), problem)(scope, receive, send)

    def _judge(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) > 1 or not self._is_ours(name_of("".join(hosts))):
            return HostUnknown("the service is not called by this name; CINEMO_TRUSTED_ORIGINS can name it")
        # A download's URL is signed: who has it may show the file wherever they like.
        if scope["path"].startswith(f"{FILES_PATH}/") or not self._is_foreign(headers):
            return None
        if is_visit(scope["method"], headers):
            return None
        return CrossSite("a page of another site has sent this; CINEMO_TRUSTED_ORIGINS can let it in")

    def _is_ours(self, name: str | None) -> bool:
        """Whether a host's name cannot be another's: an address, one of this machine or network, or one in settings."""
        if not name:
            return name is not None
        local = "." not in name or name.endswith(".localhost")
        return local or parse_address(name) is not None or name in self._names

    def _is_foreign(self, headers: Mapping[str, str]) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin in self._origins:
            return False
        if site is not None:
            return site not in OWN
        return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def is_visit(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a user follows a link to here: nothing is done by it, and the page that has the link sees nothing."""
    shown = headers.get("sec-fetch-dest") == "document" and headers.get("sec-fetch-mode") == "navigate"
    return method in ("GET", "HEAD") and shown


def name_of(host: str) -> str | None:
    """The name in a `Host` header, in lower case, without port and last dot; None for what is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    if parts.netloc != host or parts.username is not None:
        return None
    return (parts.hostname or "").rstrip(".")


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as browsers write them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
