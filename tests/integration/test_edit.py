"""A video and another first frame through the whole service; and malicious videos."""

import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence
from skimage.metrics import peak_signal_noise_ratio

from cinemo_core import read_video, write_video
from cinemo_core.media import Frames, prepare_image
from cinemo_core.training.sources import held_out
from cinemo_spec.marking.statement import SourceType
from tests.conftest import Api
from tests.films import film
from tests.integration.conftest import SMALL, Service
from tests.integration.refusal import assert_refused
from tests.pictures import encoded, small_png
from tests.unit.cinemo_core.sandbox.hostile import quicktime
from tests.video_files import numbered, write


@pytest.fixture(scope="module")
def source() -> Frames:
    """A camera that moves over a photo."""
    return film(held_out()["astronaut"], 0, 20, frames=20)


def video_file(frames: Frames, folder: Path, name: str = "source.mp4") -> bytes:
    write_video(folder / name, frames, 8)
    return (folder / name).read_bytes()


def edit(service: Service, video: bytes, photo: bytes, **fields: Any) -> dict[str, Any]:
    """POST a job with two steps; returns the ended job."""
    answer = service.http.post(
        "/edit",
        data={"num_inference_steps": 2, "detail": "off", **fields},
        files={"video": ("v", video), "image": ("i", photo)},
    )
    assert answer.status_code == 202, answer.text
    return service.wait_for(answer.json()["id"])


def test_a_video_is_edited(service: Service, source: Frames, photo: bytes, tmp_path: Path) -> None:
    job = edit(service, video_file(source, tmp_path), photo, frames=8, frame_interval=2, fps=6)
    assert job["status"] == "succeeded", job["error"]
    assert (job["kind"], job["request"]["prompt"], job["request"]["motion_intensity"]) == ("edit", "", None)
    assert job["progress"]["step"] == job["progress"]["steps"] == 4, "of the inversion and of the animation"
    video = job["output"]["video"]
    (tmp_path / "out.mp4").write_bytes(httpx.get(video["url"]).content)
    frames, rate = read_video(tmp_path / "out.mp4")
    assert (len(frames), rate) == (video["frames"], video["fps"]) == (8, 6)
    still = np.asarray(prepare_image(Image.open(io.BytesIO(photo)), video["width"], video["height"]))
    assert peak_signal_noise_ratio(still, frames[0]) >= 32
    manifest = httpx.get(job["output"]["manifest"]["url"]).json()
    assert manifest["video"] == f"inputs/{job['id']}/video.mp4"
    assert manifest["marking"] == {"digital_source_type": SourceType.EDITED.url, "signing": None, "watermark_id": None}
    again = service.http.post(f"/jobs/{job['id']}/rerun", json={"motion_intensity": 3}).json()
    assert again["request"] == {**job["request"], "motion_intensity": 3}
    assert service.wait_for(again["id"])["status"] == "succeeded"


def test_an_edit_has_the_frame_rate_of_its_source_by_default(service: Service, photo: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "source.mp4", [numbered(number) for number in range(20)], rate=30)
    for fields, rate in (({}, 30), ({"frame_interval": 2}, 15), ({"fps": 6}, 6), ({"format": "gif"}, 30)):
        job = edit(service, path.read_bytes(), photo, frames=8, width=64, height=48, **fields)
        assert job["status"] == "succeeded", job["error"]
        video = job["output"]["video"]
        assert (video["frames"], video["fps"]) == (8, rate)
        assert job["request"]["fps"] == fields.get("fps")


def test_a_gif_of_sixty_frames_a_second_states_its_real_rate(service: Service, photo: bytes) -> None:
    form = {"prompt": "waves", "num_inference_steps": "1", "format": "gif", "fps": "20", "frames": "8", "width": "64"}
    answer = service.http.post("/animate", data=form, files={"image": photo})
    video = service.wait_for(answer.json()["id"])["output"]["video"]
    with Image.open(io.BytesIO(httpx.get(video["url"]).content)) as picture:
        delays = [int(frame.info["duration"]) for frame in ImageSequence.Iterator(picture) if frame.load()]
    assert (video["frames"], video["fps"]) == (len(delays), 30) == (11, 30)
    assert min(delays) >= 20
    assert sum(delays) / 1000 == pytest.approx(video["seconds"], abs=0.01)


@pytest.mark.parametrize("size", [(6000, 2), (2, 6000)])
def test_a_photo_that_padding_would_reduce_to_nothing_is_rejected(api: Api, size: tuple[int, int]) -> None:
    image = encoded(Image.new("RGB", size, "red"))
    for fields in ({}, {"detail": "off"}, {"width": "640", "height": "480"}):
        form = {"prompt": "waves", "fit": "pad", **fields}
        answer = httpx.post(f"{api.url}/animate", data=form, files={"image": image})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/fit"), answer.text


def test_a_video_can_be_sent_through_the_bucket(service: Service, source: Frames, photo: bytes, tmp_path: Path) -> None:
    video = video_file(source, tmp_path)
    asked = {"content_type": "video/mp4", "bytes": len(video)}
    place = service.http.post("/uploads/presigned", json=asked).json()
    assert "content-length" in place["url"].lower(), "the bucket takes no other length"
    fields = {"num_inference_steps": 1, "video_upload_id": place["id"], "frames": 8, "detail": "off"}
    early = service.http.post("/edit", data=fields, files={"image": photo})
    assert (early.status_code, early.json()["code"]) == (422, "INPUT.UPLOAD.UNKNOWN")
    httpx.put(place["url"], content=video, headers=place["headers"]).raise_for_status()
    image_id = service.http.post("/uploads", content=photo).json()["id"]
    job = service.http.post("/edit", json={**fields, "upload_id": image_id}).json()
    assert service.wait_for(job["id"])["status"] == "succeeded"


@pytest.mark.parametrize(
    ("fields", "content_type"),
    [
        ({"format": "webm", "width": 64, "height": 48, "fps": 12, "frames": 8}, "video/webm"),
        (
            {"format": "gif", "frames": 8, "clips": 2, "sampler": "unipc", "motion_bucket_id": 3},
            "image/gif",
        ),
    ],
)
def test_a_video_has_the_requested_size_length_and_format(
    service: Service, photo: bytes, tmp_path: Path, fields: dict[str, Any], content_type: str
) -> None:
    fields = {**SMALL, **fields}
    job = service.wait_for(service.animate(photo, **fields)["id"])
    assert job["status"] == "succeeded", job["error"]
    video = job["output"]["video"]
    answer = httpx.get(video["url"])
    assert answer.headers["content-type"] == video["content_type"] == content_type
    path = tmp_path / f"out.{fields['format']}"
    path.write_bytes(answer.content)
    frames, rate = read_video(path)
    asked = fields.get("frames", 16)
    assert len(frames) == video["frames"] == 1 + fields.get("clips", 1) * (asked - 1)
    assert frames.shape[1:3] == (video["height"], video["width"])
    assert (video["width"], video["height"]) == (fields["width"], fields["height"])
    assert rate == pytest.approx(video["fps"], rel=0.01)


@pytest.mark.parametrize(
    "video",
    [b"\0\0\0\x18ftypmp42" + b"\xff" * 500, quicktime(b"jpeg", [b""], claimed=2**31 - 1)],
    ids=["noise", "a sample table of 2 billion"],
)
def test_a_video_that_cannot_be_decoded_fails_only_its_own_job(service: Service, photo: bytes, video: bytes) -> None:
    job = edit(service, video, photo)
    assert (job["status"], job["error"]["code"]) == ("failed", "INPUT.VIDEO.INVALID")
    assert job["error"]["retryable"] is False
    assert service.wait_for(service.animate(photo)["id"])["status"] == "succeeded"


def post(api: Api, video: bytes | None, **fields: Any) -> httpx.Response:
    files = {"image": small_png(), **({} if video is None else {"video": video})}
    return httpx.post(f"{api.url}/edit", data=fields, files=files, timeout=60)


@pytest.mark.parametrize(
    ("video", "status", "words"),
    [
        (b"#EXTM3U\nhttp://169.254.169.254/", 415, "going by its first bytes"),
        (b"RIFF\0\0\0\0AVI ", 415, "going by its first bytes"),
        (b"\0\0\0\x18ftypavif" + b"\0" * 90, 415, "going by its first bytes"),
        (b"", 415, "going by its first bytes"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * (65 * 1024 * 1024), 413, "bytes"),
        (None, 422, "exactly one"),
    ],
    ids=["playlist", "avi", "avif", "empty", "too large", "none"],
)
def test_files_other_than_videos_are_rejected(api: Api, video: bytes | None, status: int, words: str) -> None:
    assert_refused(api, post(api, video), status, "#/video", words)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("seed", "1", "unknown field"),
        ("frame_interval", "0", "1"),
        ("frames", "33", "32"),
        ("motion_intensity", "20", "19"),
    ],
)
def test_a_bad_field_of_an_edit_is_refused(api: Api, field: str, value: str, words: str) -> None:
    answer = post(api, b"\0\0\0\x18ftypmp42" + b"\0" * 90, **{field: value})
    assert_refused(api, answer, 422, f"#/{field}", words)


def test_an_edit_is_accepted_with_its_defaults_and_has_its_own_queue(api: Api) -> None:
    video = b"\0\0\0\x18ftypmp42" + b"\0" * 90
    answer = post(api, video, metadata=json.dumps({"order": "1"}))
    job = answer.json()
    assert answer.status_code == 202, job
    assert (job["kind"], job["status"], job["metadata"]) == ("edit", "queued", {"order": "1"})
    assert (job["request"]["num_inference_steps"], job["request"]["frames"]) == (20, 16)
    assert (api.redis.llen("edit"), api.redis.llen("animate")) == (1, 0)
    stored = {path.name: path.read_bytes() for path in (api.storage_folder / "data/inputs" / job["id"]).iterdir()}
    assert stored["video.mp4"] == video
    assert set(stored) == {"video.mp4", "image.png"}
