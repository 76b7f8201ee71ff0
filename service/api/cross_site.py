"""Protects a service without API keys from web pages of other sites that a local user happens to visit.

Such a page can submit a form to the service (CSRF), which browsers reveal in `Sec-Fetch-Site` or `Origin`, or make its
own host name resolve to this machine (DNS rebinding), which `Host` reveals. Clients other than browsers send neither of
the first two headers, and a `Host` that is the service's own.
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

ANY_ORIGIN = "*"
SAME_SITE = ("same-origin", "none")
"""Values of `Sec-Fetch-Site` for the service's own page, and for what the user typed or picked from bookmarks."""


class CrossSiteMiddleware:
    """Rejects cross-site requests and unknown hosts, except for the origins in the settings."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._origins = frozenset(
            {*settings.trusted_origins, *settings.cors_origins, origin_of(settings.public_base_url)}
        )
        self._hosts = {urlsplit(each).hostname for each in self._origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._check(scope) if scope["type"] == "http" and ANY_ORIGIN not in self._origins else None
        if problem is None:
            await self.app(scope, receive, send)
        else:
            await respond(Request(scope), problem)(scope, receive, send)

    def _check(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) > 1 or not self._is_own_host(parse_host("".join(hosts))):
            return HostUnknown("unknown host name; CINEMO_TRUSTED_ORIGINS can allow it")
        # Download URLs are signed: whoever has one may embed the file anywhere.
        if scope["path"].startswith(f"{FILES_PATH}/") or not self._is_cross_site(headers):
            return None
        if is_navigation(scope["method"], headers):
            return None
        return CrossSite("sent by a page of another site; CINEMO_TRUSTED_ORIGINS can allow it")

    def _is_own_host(self, host: str | None) -> bool:
        """Whether a host can't belong to someone else: an IP address, a local name, one from the settings, or none."""
        if not host:
            return host is not None
        local = "." not in host or host.endswith(".localhost")
        return local or parse_address(host) is not None or host in self._hosts

    def _is_cross_site(self, headers: Mapping[str, str]) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin in self._origins:
            return False
        if site is not None:
            return site not in SAME_SITE
        return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def is_navigation(method: str, headers: Mapping[str, str]) -> bool:
    """Whether the user follows a link: that changes nothing, and the page with the link can't read the response."""
    navigates = headers.get("sec-fetch-dest") == "document" and headers.get("sec-fetch-mode") == "navigate"
    return method in ("GET", "HEAD") and navigates


def parse_host(header: str) -> str | None:
    """The host of a `Host` header, in lower case, without port and trailing dot; None if the header is malformed."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    if parts.netloc != header or parts.username is not None:
        return None
    return (parts.hostname or "").rstrip(".")


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as browsers write them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
