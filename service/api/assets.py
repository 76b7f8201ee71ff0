"""Serves the files of the web pages, with caching and security headers."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fastapi import Request, Response

from service.api.etags import is_known

FOLDER = Path(__file__).parent / "page"
HTML = "text/html; charset=utf-8"
CONTENT_TYPES = {
    ".html": HTML,
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}


@dataclass(frozen=True)
class Asset:
    """A page, or one of its files."""

    body: bytes
    content_type: str

    @cached_property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    def response(self, request: Request, headers: dict[str, str]) -> Response:
        """Return the file, or a 304 if the browser's copy is current; browsers revalidate each time."""
        validators = {**headers, "Cache-Control": "no-cache", "ETag": self.tag}
        if is_known(self.tag, request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=validators)
        return Response(self.body, headers=validators, media_type=self.content_type)


def read_assets() -> dict[str, Asset]:
    """Read the files of the pages, by path below `service/api/page`."""
    files = [path for path in FOLDER.rglob("*") if path.suffix in CONTENT_TYPES]
    return {path.relative_to(FOLDER).as_posix(): Asset(path.read_bytes(), CONTENT_TYPES[path.suffix]) for path in files}


def security_headers(storage_origin: str) -> dict[str, str]:
    """Allow a page to load only from this service and the storage; nobody may frame it."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' blob: {storage_origin}",
        "media-src": f"'self' {storage_origin}",
        "connect-src": f"'self' {storage_origin}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
