"""GET /files/<key>: downloads of the local storage, by signed URL only."""

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse

from service.errors import NotFound
from service.storage import LocalStore
from service.storage.local import FILES_PATH


def serve_files(app: FastAPI, store: LocalStore) -> None:
    """Add the route; only an app over local storage has it, so clients take its URLs as they are given."""
    router = APIRouter(tags=["files"])

    @router.get(FILES_PATH + "/{key:path}", response_class=FileResponse, include_in_schema=False)
    def download(key: str, expires: int, signature: str) -> FileResponse:
        """A stored file; ranges are served, so that browsers can seek in videos."""
        store.verify(key, expires, signature)
        stored = store.head(key)
        if stored is None:
            raise NotFound("the file is no longer stored")
        headers = {"Cache-Control": "private, max-age=3600", "ETag": f'"{stored.sha256}"'}
        return FileResponse(store.path(key), media_type=stored.content_type, headers=headers)

    app.include_router(router)
