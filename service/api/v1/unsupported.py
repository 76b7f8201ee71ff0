"""Routes of OpenAI's API that this service doesn't support: a 404 that says what to use instead."""

from service.api.auth import CallerOf
from service.api.routes import new_hidden_router
from service.contract.problems import NotFound

router = new_hidden_router()


@router.post("/v1/videos/{video_id}/remix")
def remix_video(video_id: str, caller: CallerOf) -> None:
    """Videos are made from photos, not from other videos."""
    raise NotFound("remix is not supported; `POST /jobs/<id>/rerun` runs a job again with another prompt")


@router.post("/v1/files")
def upload_file(caller: CallerOf) -> None:
    """Files are uploaded by our own route, whose responses differ."""
    raise NotFound("send the file to `POST /uploads`; its `id` is a `file_id` for `input_reference`")


@router.post("/v1/videos/extensions")
def extend_video(caller: CallerOf) -> None:
    """Clips can only be chained when a video is created."""
    raise NotFound("extending videos is not supported; request all `seconds` or `clips` at once")


@router.post("/v1/videos/characters")
@router.get("/v1/videos/characters/{character_id}")
def find_characters(caller: CallerOf) -> None:
    """The models don't support characters."""
    raise NotFound("characters are not supported; the photo determines who is in the video")
