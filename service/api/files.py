"""GET /files/<key>: downloads from local storage, by signed URL."""

import os
from pathlib import Path, PurePosixPath

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.responses import MalformedRangeHeader, RangeNotSatisfiable

from service.api.routes import new_hidden_router
from service.contract.problems import NotFound, RangeMalformed, RangeUnsatisfiable
from service.storage import LocalStore
from service.storage.local import FILES_PATH

INLINE_TYPES = ("image/", "video/", "application/json")
"""Types that browsers may display; anything else is saved, since it could run as a page of this origin."""


class Download(FileResponse):
    """A stored file, served with ranges so that browsers can seek in videos."""

    def __init__(self, path: Path, name: str, content_type: str, digest: str, request_headers: Headers) -> None:
        inline = content_type.startswith(INLINE_TYPES) and "svg" not in content_type
        super().__init__(
            path,
            media_type=content_type,
            headers={"Cache-Control": "private, max-age=3600", "ETag": f'"{digest}"'},
            filename=name,
            stat_result=stat(path),
            content_disposition_type="inline" if inline else "attachment",
        )
        range_header, if_range = request_headers.get("range"), request_headers.get("if-range")
        if range_header is not None and (if_range is None or self._should_use_range(if_range)):
            self.require_valid_range(range_header)

    def require_valid_range(self, range_header: str) -> None:
        """Raise `RangeMalformed` or `RangeUnsatisfiable`, where the framework would respond with plain text."""
        size = int(self.headers["content-length"])
        try:
            self._parse_range_header(range_header, size)
        except MalformedRangeHeader as error:
            raise RangeMalformed(f"invalid `Range`: {error.content}") from error
        except RangeNotSatisfiable as error:
            raise RangeUnsatisfiable(size) from error


def serve_files(app: FastAPI, store: LocalStore) -> None:
    """Add the route, which exists only with local storage: clients should treat its URLs as opaque."""
    router = new_hidden_router()

    @router.get(FILES_PATH + "/{key:path}", response_class=FileResponse)
    def download(key: str, expires: int, signature: str, request: Request) -> FileResponse:
        """Download a stored file, or ranges of it."""
        store.verify(key, expires, signature)
        stored = store.head(key)
        if stored is None:
            raise not_stored()
        return Download(store.path(key), download_name(key), stored.content_type, stored.sha256, request.headers)

    app.include_router(router)


def download_name(key: str) -> str:
    """Return the name to save a file as; a job's video is named after the job, so that names don't collide."""
    match PurePosixPath(key).parts:
        case ("jobs", job, _, name) if PurePosixPath(name).stem == "video":
            return f"{job}{PurePosixPath(name).suffix}"
        case (*_, name):
            return name
    return key


def stat(path: Path) -> os.stat_result:
    """Stat a file; raises `NotFound` if it was deleted since its metadata was read."""
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise not_stored() from error


def not_stored() -> NotFound:
    return NotFound("the file is no longer stored")
