"""All ways to submit a job, and all its options, without a worker: jobs stay queued."""

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.contract.problems import UploadUnknown
from service.storage import LocalStore
from service.store.uploads import Uploads
from tests.conftest import Api
from tests.integration.test_training import PREFIX, body
from tests.jobs import JobStore

OPTIONS: dict[str, Any] = {
    "metadata": {"order": "4711", "note": "line one\r\nX-Evil: line two"},
    "webhook_events": ["job.succeeded"],
    "priority": 7,
    "reuse": False,
}


def as_form(fields: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


def post(api: Api, path: str = "/animate", **arguments: Any) -> httpx.Response:
    return httpx.post(api.url + path, timeout=30, **arguments)


def accepted(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def uploaded(api: Api, data: bytes) -> dict[str, Any]:
    answer = post(api, "/uploads", content=data, headers={"content-type": "image/png"})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def stored_inputs(api: Api, job: dict[str, Any]) -> dict[str, bytes]:
    folder = api.storage_folder / "data" / "inputs" / job["id"]
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_picture_is_the_same_however_it_is_sent(api: Api, photo: bytes) -> None:
    fields = {"prompt": "waves", "seed": 1}
    jobs = [
        accepted(post(api, data=as_form(fields), files={"image": photo})),
        accepted(post(api, json={**fields, "image_base64": base64.b64encode(photo).decode()})),
        accepted(post(api, json={**fields, "upload_id": uploaded(api, photo)["id"]})),
    ]
    assert len({json.dumps(job["request"], sort_keys=True) for job in jobs}) == 1
    inputs = [stored_inputs(api, job) for job in jobs]
    assert list(inputs[0]) == ["image.jpg"]
    assert inputs[0] == inputs[1] == inputs[2]


def test_every_parameter_is_accepted_and_returned(api: Api, photo: bytes) -> None:
    fields = {
        "prompt": "waves",
        "negative_prompt": "blur",
        "motion_intensity": 3,
        "motion_bucket_id": 12.5,
        "seed": 5,
        "num_inference_steps": 7,
        "guidance_scale": 2.5,
        "guidance_rescale": 0.7,
        "noise_refinement": False,
        "noise_cutoff": 0.5,
        "noise_level": 900,
        "sampler": "unipc",
        "cache_interval": 2,
        "frames": 12,
        "clips": 3,
        "detail": "photo",
        "first_frame": "photo",
        "width": 162,
        "height": 96,
        "fit": "pad",
        "fps": 12,
        "frame_rate_factor": 2,
        "format": "webm",
        "model": "tiny",
        # Those of published models are tested with the models.
        "adapters": [],
    }
    form = accepted(post(api, data=as_form(fields), files={"image": photo}))
    typed = accepted(post(api, json={**fields, "image_base64": base64.b64encode(photo).decode()}))
    assert form["request"] == typed["request"] == fields


def test_job_options_are_stored_and_returned(api: Api, photo: bytes) -> None:
    (api.storage_folder / "data" / PREFIX).mkdir(parents=True, exist_ok=True)
    (api.storage_folder / "data" / PREFIX / "0.mp4").write_bytes(b"")
    form = post(api, data={"prompt": "waves", **as_form(OPTIONS)}, files={"image": photo})
    first = accepted(form)
    upload_id = uploaded(api, photo)["id"]
    jobs = [
        first,
        accepted(post(api, json={"prompt": "waves", "upload_id": upload_id, **OPTIONS})),
        accepted(post(api, "/train", json={**body(), **OPTIONS})),
        accepted(post(api, f"/jobs/{first['id']}/rerun")),
    ]
    for job in jobs:
        polled = httpx.get(job["urls"]["self"]).json()
        assert {name: polled[name] for name in OPTIONS} == OPTIONS
        kept = JobStore(api.redis).queries.get(job["id"])
        assert kept is not None
        assert kept.options.priority == 7
    assert "x-evil" not in form.headers
    changed = accepted(post(api, f"/jobs/{first['id']}/rerun", json={"metadata": {"order": "2"}, "seed": 9}))
    assert (changed["metadata"], changed["priority"], changed["request"]["seed"]) == ({"order": "2"}, 7, 9)


def test_omitted_job_options_have_defaults(api: Api, photo: bytes) -> None:
    job = accepted(post(api, data={"prompt": "waves"}, files={"image": photo}))
    assert (job["metadata"], job["webhook_url"], job["priority"], job["reuse"]) == ({}, None, 0, True)
    assert job["webhook_events"] == ["job.succeeded", "job.failed", "job.canceled", "job.expired"]


def test_prefer_wait_is_applied_and_returns_the_current_job(api: Api, photo: bytes) -> None:
    answer = post(api, data={"prompt": "waves"}, files={"image": photo}, headers={"Prefer": "wait=1"})
    assert accepted(answer)["status"] == "queued"
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["location"] == f"{api.url}/jobs/{answer.json()['id']}"
    assert "preference-applied" not in post(api, data={"prompt": "waves"}, files={"image": photo}).headers


@pytest.mark.parametrize("way", ["image_base64", "upload_id"])
def test_an_idempotency_key_works_however_the_picture_is_sent(api: Api, photo: bytes, way: str) -> None:
    given = {"image_base64": base64.b64encode(photo).decode(), "upload_id": uploaded(api, photo)["id"]}
    fields = {"prompt": "waves", way: given[way]}
    headers = {"Idempotency-Key": f"key-{way}"}
    first, again = (post(api, json=fields, headers=headers) for _ in range(2))
    assert accepted(first)["id"] == accepted(again)["id"]
    assert again.headers["idempotency-replayed"] == "true"
    other = post(api, json={**fields, "seed": 1}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY.KEY_REUSED")


def test_an_upload_can_be_used_more_than_once(api: Api, photo: bytes) -> None:
    made = uploaded(api, photo)
    assert made["bytes"] == len(photo)
    assert made["sha256"] == hashlib.sha256(photo).hexdigest()
    assert made["content_type"] == "image/jpeg", "by its first bytes, not by the header"
    as_file = post(api, "/uploads", files={"file": ("../../etc/passwd", photo, "text/html")}).json()
    assert as_file["sha256"] == made["sha256"]
    assert as_file["id"] != made["id"]
    for _ in range(2):
        accepted(post(api, json={"prompt": "waves", "upload_id": made["id"]}))
    stored = [path for path in api.storage_folder.rglob("*") if path.is_file()]
    assert stored
    assert all("passwd" not in path.name for path in stored)


def test_an_upload_belongs_to_its_tenant_and_expires(api: Api, photo: bytes, tmp_path: Path) -> None:
    storage = LocalStore(tmp_path, api.url, "for tests alone")
    lasting, expired = (Uploads(storage, api.redis, seconds) for seconds in (60, -1))
    kept, gone = (uploads.put("acme", photo, "image/jpeg") for uploads in (lasting, expired))
    assert lasting.find("acme", kept.id, "upload_id") == kept
    for uploads, tenant, upload in ((lasting, "other", kept), (expired, "acme", gone)):
        with pytest.raises(UploadUnknown):
            uploads.find(tenant, upload.id, "upload_id")
    assert not lasting.sweep(), "there is no more than it has taken"
    assert list(storage.list("uploads/")) == [kept.stored.key]


def test_an_upload_or_input_that_disappears_during_use_is_reported(api: Api, photo: bytes) -> None:
    job_id = accepted(post(api, data={"prompt": "waves"}, files={"image": photo}))["id"]
    picture, video = (uploaded(api, data)["id"] for data in (photo, b"GIF89a"))
    # What is known of the files stays, as for one who has just looked.
    shutil.rmtree(api.storage_folder / "data")
    image = {"image_base64": base64.b64encode(photo).decode()}
    for answer, field in (
        (post(api, "/animate", json={"prompt": "waves", "upload_id": picture}), "upload_id"),
        (post(api, "/edit", json={"video_upload_id": video, **image}), "video_upload_id"),
    ):
        problem = answer.json()
        reported = (answer.status_code, problem["code"], problem["errors"][0]["pointer"])
        assert reported == (422, "INPUT.UPLOAD.UNKNOWN", f"#/{field}")
    again = post(api, f"/jobs/{job_id}/rerun")
    assert (again.status_code, again.json()["code"]) == (410, "JOB.DATA_REMOVED")


def test_presigned_uploads_are_rejected_without_a_bucket(api: Api) -> None:
    answer = post(api, "/uploads/presigned", json={"content_type": "video/mp4", "bytes": 10})
    assert (answer.status_code, answer.json()["code"]) == (415, "INPUT.UPLOAD.UNSUPPORTED")
    large = post(api, "/uploads/presigned", json={"content_type": "image/png", "bytes": 17 * 1024 * 1024})
    assert (large.status_code, large.json()["errors"][0]["pointer"]) == (422, "#/bytes")
