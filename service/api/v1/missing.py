"""What the dialect has and this service does not: a 404 that says so."""

from fastapi import APIRouter

from service.api.auth import CallerOf
from service.contract.problems import NotFound

router = APIRouter(include_in_schema=False)


@router.post("/v1/videos/{video_id}/remix")
def remix_video(video_id: str, caller: CallerOf) -> None:
    """A video is made of a photo, not of another video's prompt."""
    raise NotFound("there is no remix here; POST /jobs/<id>/rerun makes a video again with another prompt")


@router.post("/v1/videos/extensions")
def extend_video(caller: CallerOf) -> None:
    """Clips are chained when a video is made."""
    raise NotFound("videos cannot be extended here; ask for as many seconds, or clips, at once")


@router.post("/v1/videos/characters")
@router.get("/v1/videos/characters/{character_id}")
def find_characters(caller: CallerOf) -> None:
    """The models know none."""
    raise NotFound("there are no characters here; the photo says who is in the video")
