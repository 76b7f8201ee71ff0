"""GET /files/<key>: downloads of the local storage, by signed URL only."""

import os
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.responses import MalformedRangeHeader, RangeNotSatisfiable

from service.contract.problems import NotFound, RangeMalformed, RangeUnsatisfiable
from service.storage import LocalStore
from service.storage.local import FILES_PATH

SHOWN = ("image/", "video/", "application/json")
"""What a browser may show in its own window; it saves the rest, which might else run there as one of our pages."""


class Download(FileResponse):
    """A stored file of which ranges are served, so that browsers can seek in videos."""

    def __init__(self, path: Path, name: str, content_type: str, digest: str, asked: Headers) -> None:
        shown = content_type.startswith(SHOWN) and "svg" not in content_type
        super().__init__(
            path,
            media_type=content_type,
            headers={"Cache-Control": "private, max-age=3600", "ETag": f'"{digest}"'},
            filename=name,
            stat_result=size_of(path),
            content_disposition_type="inline" if shown else "attachment",
        )
        if "range" in asked and ("if-range" not in asked or self._should_use_range(asked["if-range"])):
            self.check(asked["range"])

    def check(self, wanted: str) -> None:
        """Raise `RangeMalformed` or `RangeUnsatisfiable`; the framework would answer with plain text."""
        size = int(self.headers["content-length"])
        try:
            self._parse_range_header(wanted, size)
        except MalformedRangeHeader as error:
            raise RangeMalformed(f"`Range` is not one that is served: {error.content}") from error
        except RangeNotSatisfiable as error:
            raise RangeUnsatisfiable(size) from error


def serve_files(app: FastAPI, store: LocalStore) -> None:
    """Add the route; only an app over local storage has it, so clients take its URLs as they are given."""
    router = APIRouter(tags=["files"])

    @router.get(FILES_PATH + "/{key:path}", response_class=FileResponse, include_in_schema=False)
    def download(key: str, expires: int, signature: str, request: Request) -> FileResponse:
        """A stored file, or a part of it."""
        store.verify(key, expires, signature)
        stored = store.head(key)
        if stored is None:
            raise gone()
        return Download(store.path(key), saved_as(key), stored.content_type, stored.sha256, request.headers)

    app.include_router(router)


def saved_as(key: str) -> str:
    """The name of a file where somebody saves it: a job's video is called as the job, so that no two are alike."""
    match PurePosixPath(key).parts:
        case ("jobs", job, _, name) if PurePosixPath(name).stem == "video":
            return f"{job}{PurePosixPath(name).suffix}"
        case (*_, name):
            return name
    return key


def size_of(path: Path) -> os.stat_result:
    """What the file system knows of a file; raises `NotFound` where it went after its description was read."""
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise gone() from error


def gone() -> NotFound:
    return NotFound("the file is no longer stored")
