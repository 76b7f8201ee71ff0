"""A photo through the whole service, with real components: HTTP, Redis, a Celery worker, the model, S3."""

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from standardwebhooks.webhooks import Webhook

from cinemo_core import read_video
from cinemo_core.media import prepare_image
from service.contract.record import DEFAULT_TENANT, Job, new_job_id
from service.contract.requests import AnimateRequest
from service.store.connections import connect
from service.webhooks.endpoints import EndpointStore
from tests.integration.conftest import Service
from tests.processes import wait_until
from tests.receiver import receiving


def test_a_photo_becomes_a_video_in_the_bucket(service: Service, photo: bytes, tmp_path: Path) -> None:
    own = {"width": 192, "height": 128}
    accepted = service.animate(photo, prompt="zoom in", seed=5, motion_intensity=3, guidance_scale=1.5, **own)
    job = service.wait_for(accepted["id"])
    assert job["status"] == "succeeded", job["error"]
    assert job["progress"] == {"step": 2, "steps": 2, "fraction": 1.0, "message": "denoising step 2 of 2"}
    assert job["attempt"] == 1
    assert job["queue_position"] is None
    metrics = job["metrics"]
    assert 0 < metrics["gpu_ms"] <= metrics["execution_ms"]
    assert accepted["request"] == job["request"]

    downloads = {name: httpx.get(job["output"][name]["url"]) for name in ("video", "poster", "manifest")}
    for name, answer in downloads.items():
        described = job["output"][name]
        assert answer.status_code == 200
        assert answer.headers["content-type"] == described["content_type"]
        assert len(answer.content) == described["bytes"]
        assert hashlib.sha256(answer.content).hexdigest() == described["sha256"]

    path = tmp_path / "video.mp4"
    path.write_bytes(downloads["video"].content)
    frames, rate = read_video(path)
    video = job["output"]["video"]
    assert frames.shape == (video["frames"], video["height"], video["width"], 3) == (16, 128, 192, 3)
    assert rate == video["fps"] == video["frames"] / video["seconds"]
    still = np.asarray(prepare_image(Image.open(io.BytesIO(photo)), 192, 128))
    assert peak_signal_noise_ratio(still, frames[0]) >= 32

    manifest = json.loads(downloads["manifest"].content)
    assert manifest["request"] == job["request"]
    assert manifest["request"]["seed"] == 5
    assert len(manifest["model"]["revision"]) == 12
    assert manifest["timings"]["model_ms"] == metrics["gpu_ms"]
    assert manifest["files"]["video"]["sha256"] == video["sha256"]


def test_a_video_has_the_photos_size_and_three_times_the_models_frame_rate(
    service: Service, photo: bytes, tmp_path: Path
) -> None:
    accepted = service.animate(photo, frames=8, detail=None, width=None, height=None)
    job = service.wait_for(accepted["id"])
    assert job["status"] == "succeeded", job["error"]
    video = job["output"]["video"]
    assert (video["width"], video["height"], video["frames"], video["fps"]) == (600, 400, 22, 24)
    (tmp_path / "video.mp4").write_bytes(httpx.get(video["url"]).content)
    frames, rate = read_video(tmp_path / "video.mp4")
    assert (frames.shape, rate) == ((22, 400, 600, 3), 24)
    with Image.open(io.BytesIO(photo)) as whole:
        assert peak_signal_noise_ratio(np.asarray(whole), frames[0]) >= 32
    with Image.open(io.BytesIO(httpx.get(job["output"]["poster"]["url"]).content)) as poster:
        assert poster.size == (600, 400)

    progress: list[dict[str, Any]] = [
        event.data for event in service.jobs.queries.events(job["id"]) if event.type == "progress"
    ]
    assert [each["message"] for each in progress[:3]] == [
        "denoising step 1 of 2",
        "denoising step 2 of 2",
        "detail of frame 2 of 22",
    ]
    fractions = [each["fraction"] for each in progress]
    assert fractions == sorted(fractions)
    assert (progress[-1]["message"], fractions[-1]) == ("detail of frame 22 of 22", 1)
    assert len(progress) < 2 + 15

    manifest = httpx.get(job["output"]["manifest"]["url"]).json()
    assert manifest["request"] == job["request"]
    assert {name: manifest["model"][name] for name in ("width", "height", "frames")} == {
        "width": 192,
        "height": 128,
        "frames": 8,
    }
    assert manifest["timings"]["detail_and_encoding_ms"] > 0


def test_the_endpoint_and_the_jobs_own_url_are_notified_of_a_downloadable_video(service: Service, photo: bytes) -> None:
    endpoints = EndpointStore(connect(service.stack.environment["CINEMO_REDIS_URL"]))
    with receiving() as receiver:
        endpoint = endpoints.add(DEFAULT_TENANT, receiver.url, ["job.running", "job.succeeded"])
        job_id = service.animate(photo, webhook_url=f"{receiver.url}/own", metadata='{"order": "4711"}')["id"]
        wait_until(lambda: len(receiver.received) == 3, 120, "the webhooks")
        endpoints.remove(DEFAULT_TENANT, endpoint.id)
    [secret] = endpoints.secrets(DEFAULT_TENANT)
    messages = [Webhook(secret).verify(each.body, each.headers) for each in receiver.received]
    assert sorted(zip((each.path for each in receiver.received), receiver.types, strict=True)) == [
        ("/hook", "job.running"),
        ("/hook", "job.succeeded"),
        ("/hook/own", "job.succeeded"),
    ]
    assert {message["data"]["metadata"]["order"] for message in messages} == {"4711"}
    output = messages[-1]["data"]["output"]
    assert httpx.get(output["video"]["url"]).status_code == 200
    assert output["video"]["sha256"] == service.get(job_id)["output"]["video"]["sha256"]


def test_the_same_request_gives_the_same_video_and_another_seed_a_different_one(service: Service, photo: bytes) -> None:
    ids = [service.animate(photo, seed=seed)["id"] for seed in (1, 2)]
    ids.insert(1, service.repeat(ids[0], reuse=False))
    hashes = [service.wait_for(job_id)["output"]["video"]["sha256"] for job_id in ids]
    assert hashes[0] == hashes[1] != hashes[2]


def test_progress_counts_the_models_own_steps(service: Service, photo: bytes) -> None:
    job_id = service.animate(photo, num_inference_steps=12)["id"]
    seen: list[tuple[int, str | None]] = []

    def ended() -> bool:
        job = service.get(job_id)
        if job["progress"]:
            seen.append((job["progress"]["step"], job["eta"]))
        return job["status"] == "succeeded"

    wait_until(ended, 120, "the end of the job")
    steps = [step for step, _ in seen]
    assert steps == sorted(steps)
    assert steps[-1] == 12
    assert len(set(steps)) > 3, "progress is seen while the job runs"
    assert any(eta for _, eta in seen)


def test_the_built_in_student_uses_the_steps_and_guidance_on_its_card(service: Service, photo: bytes) -> None:
    job = service.wait_for(service.animate(photo, model="tiny-turbo", num_inference_steps=None)["id"])
    assert job["status"] == "succeeded", job["error"]
    assert (job["request"]["num_inference_steps"], job["request"]["guidance_scale"]) == (4, 1.0)
    assert job["progress"]["steps"] == 4


def test_a_message_delivered_twice_creates_one_video(service: Service, photo: bytes) -> None:
    job_id = service.animate(photo)["id"]
    service.queue.enqueue(job_id)
    service.queue.enqueue(job_id)
    last = service.animate(photo)["id"]
    assert service.wait_for(last)["status"] == "succeeded"
    job = service.get(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)


def test_a_job_whose_input_was_deleted_fails_and_the_worker_continues(service: Service, photo: bytes) -> None:
    now = datetime.now(UTC)
    request = AnimateRequest(prompt="waves", seed=1, num_inference_steps=2, guidance_scale=1, model="tiny")
    job = Job(
        id=new_job_id(),
        created_at=now,
        input_key="inputs/nowhere.png",
        request=request,
    )
    service.jobs.submissions.create(job)
    service.queue.enqueue(job.id)
    failed = service.wait_for(job.id)
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "STORAGE.OBJECT_NOT_FOUND"
    assert failed["error"]["retryable"] is False
    assert failed["output"] is None
    assert service.wait_for(service.animate(photo)["id"])["status"] == "succeeded"


def test_a_message_without_a_job_is_dropped(service: Service, photo: bytes) -> None:
    service.queue.enqueue("job_that_never_was")
    assert service.wait_for(service.animate(photo)["id"])["status"] == "succeeded"


def test_a_job_whose_input_is_not_a_picture_fails_with_a_typed_error(service: Service, photo: bytes) -> None:
    now = datetime.now(UTC)
    request = AnimateRequest(prompt="waves", seed=1, num_inference_steps=2, guidance_scale=1, model="tiny")
    key = "inputs/broken.png"
    service.storage.put_bytes(key, b"not a picture", "image/png")
    job = Job(id=new_job_id(), created_at=now, input_key=key, request=request)
    service.jobs.submissions.create(job)
    service.queue.enqueue(job.id)
    assert service.wait_for(job.id)["error"]["code"] == "INPUT.IMAGE.INVALID"
