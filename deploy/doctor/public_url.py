"""Check of the public URL: whether links in responses lead to the API."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, failure, ok, skipped, warning

TIMEOUT_SECONDS = 5.0


def public_url(context: Context) -> CheckResult:
    """Whether links in responses lead to this API."""
    url = context.settings.public_base_url.rstrip("/")
    needs_keys = context.settings.auth == "keys"
    if is_loopback(url) and needs_keys:
        return warning(f"links in responses lead to {url}, only on this machine", "set CINEMO_PUBLIC_BASE_URL")
    try:
        response = httpx.get(f"{url}/healthz", timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        return skipped(f"{url} cannot be reached from here ({error}); try it where clients are")
    if response.status_code != 200 or response.headers.get("content-type") != "application/json":
        message = f"{url}/healthz returned status {response.status_code}, unlike this API"
        return failure(message, "set CINEMO_PUBLIC_BASE_URL to the API")
    if urlsplit(url).scheme == "http" and not is_loopback(url):
        return warning(f"{url} sends keys and videos unencrypted", "use a TLS proxy, and https:// in the setting")
    return ok(f"{url} leads to an API")


def is_loopback(url: str) -> bool:
    """Whether a URL leads to the machine that uses it."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
