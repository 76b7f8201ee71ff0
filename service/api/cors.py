"""Configures which origins may call the API from a browser (CORS), and which headers they may read."""

from typing import Any

from service.api.openapi import HEADERS
from service.contract.settings import Settings

METHODS = ("GET", "HEAD", "POST", "DELETE")
PREFLIGHT_SECONDS = 600


def cors_options(settings: Settings) -> dict[str, Any]:
    """Return options for `CORSMiddleware`. Cookies are not allowed: API keys are sent in a header."""
    return {
        "allow_origins": settings.cors_origins,
        "allow_methods": METHODS,
        "allow_headers": ["*"],
        "expose_headers": [*HEADERS, "Content-Range"],
        "max_age": PREFLIGHT_SECONDS,
    }
