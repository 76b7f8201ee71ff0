"""GET /: the playground, a page for people over the same API that programs use; it has no way in of its own.

The page is plain files in `service/web`, read once at start: no build, and nothing from elsewhere.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request, Response

from service.errors import NotFound
from service.jobs.requests import MAX_INTENSITY
from service.settings import Settings

FOLDER = Path(__file__).parents[1] / "web"
PAGE = "index.html"
SLIDER_STEPS = 100
"""A slider to all that may be asked for could not be set finely."""
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page, as it is sent."""

    body: bytes
    content_type: str

    @cached_property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'


def serve_playground(app: FastAPI, settings: Settings, storage_url: str) -> None:
    """Add the routes; `storage_url` is where the URLs of videos and posters lead."""
    router = APIRouter(include_in_schema=False)
    assets = read_assets(settings)
    headers = security_headers(origin_of(storage_url))

    async def asset(request: Request, name: str = PAGE) -> Response:
        """A file of the page; browsers keep it, and ask each time whether it is still the one."""
        found = assets.get(name)
        if found is None:
            raise NotFound(f"the page has no file {name[:100]!r}")
        validators = {**headers, "Cache-Control": "no-cache", "ETag": found.tag}
        if is_known(found.tag, request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=validators)
        return Response(found.body, headers=validators, media_type=found.content_type)

    for path in ("/", "/web/{name:path}"):
        router.add_api_route(path, asset, methods=["GET", "HEAD"])
    app.include_router(router)


def read_assets(settings: Settings) -> dict[str, Asset]:
    """Every file of the page by its path; the page itself knows the service's limits and defaults."""
    files = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.suffix in CONTENT_TYPES}
    assets = {name: Asset(path.read_bytes(), CONTENT_TYPES[path.suffix]) for name, path in files.items()}
    page = Template(assets[PAGE].body.decode()).substitute(limits(settings))
    return {**assets, PAGE: Asset(page.encode(), CONTENT_TYPES[".html"])}


def limits(settings: Settings) -> dict[str, object]:
    """What the page's form offers."""
    return {
        "max_image_bytes": settings.max_image_bytes,
        "max_motion_intensity": MAX_INTENSITY,
        "most_steps": max(settings.default_num_inference_steps, min(settings.max_num_inference_steps, SLIDER_STEPS)),
        "default_num_inference_steps": settings.default_num_inference_steps,
        "default_guidance_scale": f"{settings.default_guidance_scale:g}",
    }


def security_headers(storage: str) -> dict[str, str]:
    """What the page may load and who may frame it: itself and the storage, and nobody."""
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


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_known(tag: str, if_none_match: str) -> bool:
    """Whether a client has what the tag stands for (RFC 9110, section 13.1.2)."""
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return bool(known & {tag, "*"})
