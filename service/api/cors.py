"""Which pages of other origins may call the API from a browser, and what they may see of its answers."""

from typing import Any

from service.api.openapi import HEADERS
from service.contract.settings import Settings

METHODS = ("GET", "HEAD", "POST", "DELETE")
PREFLIGHT_SECONDS = 600


def shared_with(settings: Settings) -> dict[str, Any]:
    """Options of the framework's middleware. Keys go in a header, never in cookies, so none are let through."""
    return {
        "allow_origins": settings.cors_origins,
        "allow_methods": METHODS,
        "allow_headers": ["*"],
        "expose_headers": [*HEADERS, "Content-Range"],
        "max_age": PREFLIGHT_SECONDS,
    }
