"""The files of the pages for people, as browsers get them: what they may load, when they come again."""

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
    """A page or a file of one, as it is sent."""

    body: bytes
    content_type: str

    @cached_property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    def answer(self, request: Request, headers: dict[str, str]) -> Response:
        """Browsers keep it, and ask each time whether it is still the one."""
        validators = {**headers, "Cache-Control": "no-cache", "ETag": self.tag}
        if is_known(self.tag, request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=validators)
        return Response(self.body, headers=validators, media_type=self.content_type)


def read_assets() -> dict[str, Asset]:
    """Every file of the pages by its path below `service/api/page`."""
    files = [path for path in FOLDER.rglob("*") if path.suffix in CONTENT_TYPES]
    return {path.relative_to(FOLDER).as_posix(): Asset(path.read_bytes(), CONTENT_TYPES[path.suffix]) for path in files}


def security_headers(storage: str) -> dict[str, str]:
    """What a page may load and who may frame it: this service's own and the storage, and nobody."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' blob: {storage}",
        "media-src": f"'self' {storage}",
        "connect-src": f"'self' {storage}",
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
