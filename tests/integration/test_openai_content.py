"""Files of videos in OpenAI's dialect, served by the API from a bucket, and edits of videos."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from cinemo_core.clips import read_video
from tests.integration.conftest import Service


@pytest.fixture(scope="module")
def video_id(service: Service, photo: bytes) -> str:
    """The ID of an existing video."""
    job_id = str(service.animate(photo)["id"])
    assert service.wait_for(job_id)["status"] == "succeeded"
    return job_id


def content(service: Service, video_id: str, wanted: str | None = None, **query: str) -> httpx.Response:
    headers = {"Range": wanted} if wanted else {}
    return service.http.get(f"/v1/videos/{video_id}/content", params=query, headers=headers, follow_redirects=False)


def test_the_video_is_served_by_the_api_itself(service: Service, video_id: str) -> None:
    video = service.get(video_id)["output"]["video"]
    answer = content(service, video_id)
    assert answer.status_code == 200
    assert answer.content == httpx.get(video["url"]).content
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(video["bytes"])
    assert video_id in answer.headers["content-disposition"]
    reported = service.http.get(f"/v1/videos/{video_id}").json()
    assert (reported["status"], reported["size"], reported["progress"]) == ("completed", "96x64", 100)
    assert httpx.get(reported["url"]).content == answer.content


def test_the_thumbnail_is_the_poster(service: Service, video_id: str) -> None:
    answer = content(service, video_id, variant="thumbnail")
    assert (answer.headers["content-type"], answer.content[:2]) == ("image/jpeg", b"\xff\xd8")


def test_the_sprite_sheet_shows_frames_from_first_to_last(service: Service, video_id: str, tmp_path: Path) -> None:
    answer = content(service, video_id, variant="spritesheet")
    assert answer.headers["content-type"] == "image/jpeg"
    sheet = Image.open(io.BytesIO(answer.content))
    (tmp_path / "video.mp4").write_bytes(content(service, video_id).content)
    frames, _ = read_video(tmp_path / "video.mp4")
    height, width = frames.shape[1:3]
    assert sheet.size == (4 * width, 4 * height)
    cells = [sheet.crop((left, top, left + width, top + height)) for left, top in ((0, 0), (3 * width, 3 * height))]
    for cell, frame in zip(cells, (frames[0], frames[-1]), strict=True):
        assert np.abs(np.asarray(cell).astype(int) - frame).mean() < 4


@pytest.mark.parametrize(
    ("wanted", "part"),
    [("bytes=0-9", slice(0, 10)), ("bytes=10-", slice(10, None)), ("bytes=-7", slice(-7, None))],
)
def test_a_range_returns_the_requested_bytes(service: Service, video_id: str, wanted: str, part: slice) -> None:
    whole = content(service, video_id).content
    answer = content(service, video_id, wanted)
    assert answer.status_code == 206
    assert answer.content == whole[part]
    start = part.indices(len(whole))[0]
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(answer.content) - 1}/{len(whole)}"


def test_an_invalid_range_is_rejected(service: Service, video_id: str) -> None:
    size = len(content(service, video_id).content)
    behind = content(service, video_id, f"bytes={size}-")
    assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{size}")
    assert content(service, video_id, "bytes=-0").status_code == 416
    for wrong in ("bytes=-", "lines=1-2", "bytes=1-2,4-5", "bytes=a-b"):
        assert content(service, video_id, wrong).status_code == 400


def test_head_returns_no_body(service: Service, video_id: str) -> None:
    answer = service.http.head(f"/v1/videos/{video_id}/content")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_video_can_be_edited_by_its_id(service: Service, video_id: str, photo: bytes) -> None:
    fields = {"prompt": "waves", "video[id]": video_id, "size": "96x64", "detail": "off", "num_inference_steps": "2"}
    answer = service.http.post("/v1/videos/edits", data=fields, files={"input_reference": ("photo", photo)})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["object"], answer.json()["seconds"]) == ("video", None)
    edited = service.wait_for(answer.json()["id"])
    assert (edited["kind"], edited["status"]) == ("edit", "succeeded")
    assert content(service, edited["id"]).status_code == 200


def test_an_incomplete_edit_is_rejected_with_what_is_missing(service: Service, video_id: str, photo: bytes) -> None:
    without = service.http.post("/v1/videos/edits", json={"prompt": "waves", "video": {"id": video_id}})
    assert (without.status_code, without.json()["error"]["param"]) == (400, "input_reference")
    for video in ({"id": "job_none"}, {"id": 1}, {}, "upload_none"):
        upload = service.http.post("/uploads", content=photo).json()["id"]
        body = {"prompt": "waves", "video": video, "input_reference": {"file_id": upload}}
        refused = service.http.post("/v1/videos/edits", json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "video")


def test_a_deleted_video_is_not_found(service: Service, photo: bytes) -> None:
    job_id = str(service.animate(photo, seed=11)["id"])
    service.wait_for(job_id)
    assert service.http.delete(f"/v1/videos/{job_id}").json()["deleted"]
    answer = content(service, job_id)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
    assert service.http.get(f"/v1/videos/{job_id}").json()["url"] is None
