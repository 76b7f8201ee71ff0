"""Serves the web pages: GET /docs, the API reference, and GET /, the playground, unless it is disabled.

Their files are read once at startup; there is no build step, and nothing is loaded from third parties.
"""

from functools import cache

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from service.api.assets import HTML, Asset, read_assets, security_headers
from service.api.cross_site import origin_of
from service.api.playground import playground
from service.api.reference.html import page_html
from service.api.reference.page import page
from service.contract.problems import NotFound
from service.contract.settings import Settings

INDEX = "index.html"
REFERENCE_FILES = ("css/base.css", "css/reference.css", "icon.svg")


def serve_pages(app: FastAPI, settings: Settings, storage_url: str) -> None:
    """Add the routes; `storage_url` is the base of video and poster URLs."""
    router = APIRouter(include_in_schema=False)
    headers = security_headers(origin_of(storage_url))
    files = read_assets()
    served = {name: files[name] for name in REFERENCE_FILES}
    if settings.playground:
        served = {**files, INDEX: playground(files[INDEX], settings)}

    @cache
    def reference() -> Asset:
        """Render the reference on first use, with example commands for this service."""
        blocks = page(app.openapi(), settings.public_base_url)
        return Asset(page_html(blocks).encode(), HTML)

    def docs(request: Request) -> Response:
        return reference().response(request, headers)

    async def asset(request: Request, name: str = INDEX) -> Response:
        found = served.get(name)
        if found is None:
            raise NotFound(f"no file {name[:100]!r} on this page")
        return found.response(request, headers)

    router.add_api_route("/docs", docs, methods=["GET"])
    router.add_api_route("/docs/", lambda: RedirectResponse("../docs", 308), methods=["GET"])
    router.add_api_route("/web/{name:path}", asset, methods=["GET"])
    if settings.playground:
        router.add_api_route("/", asset, methods=["GET"])
    app.include_router(router)
