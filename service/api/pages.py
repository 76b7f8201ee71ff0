"""Pages for people: GET /docs, the reference of the API, and GET /, the playground, unless it is off.

They are made of plain files, read once at start: no build, and nothing from elsewhere.
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
OF_REFERENCE = ("css/base.css", "css/reference.css", "icon.svg")


def serve_pages(app: FastAPI, settings: Settings, storage_url: str) -> None:
    """Add the routes; `storage_url` is where the URLs of videos and posters lead."""
    router = APIRouter(include_in_schema=False)
    headers = security_headers(origin_of(storage_url))
    files = read_assets()
    served = {name: files[name] for name in OF_REFERENCE}
    if settings.playground:
        served = {**files, INDEX: playground(files[INDEX], settings)}

    @cache
    def reference() -> Asset:
        """Of the document as it is served, with commands for this service; made when it is first asked for."""
        blocks = page(app.openapi(), settings.public_base_url)
        return Asset(page_html(blocks).encode(), HTML)

    def docs(request: Request) -> Response:
        return reference().answer(request, headers)

    async def asset(request: Request, name: str = INDEX) -> Response:
        found = served.get(name)
        if found is None:
            raise NotFound(f"the page has no file {name[:100]!r}")
        return found.answer(request, headers)

    router.add_api_route("/docs", docs, methods=["GET"])
    router.add_api_route("/docs/", lambda: RedirectResponse("../docs", 308), methods=["GET"])
    router.add_api_route("/web/{name:path}", asset, methods=["GET"])
    if settings.playground:
        router.add_api_route("/", asset, methods=["GET"])
    app.include_router(router)
