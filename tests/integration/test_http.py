"""The API as clients see it, without a worker: queued jobs, signed files, health."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from openapi_spec_validator import validate

from deploy.local.redis import free_port
from service.api.pictures import SOURCES
from service.contract.requests import AnimateRequest, JobOptions
from service.storage import LocalStore
from tests.conftest import Api
from tests.processes import PYTHON, answers, running


def test_a_job_is_accepted_with_its_defaults_and_its_position_in_the_queue(api: Api, photo: bytes) -> None:
    for place in (1, 2):
        answer = httpx.post(f"{api.url}/animate", data={"prompt": " waves "}, files={"image": photo})
        job = answer.json()
        assert answer.status_code == 202, job
        assert answer.headers["location"] == f"{api.url}/jobs/{job['id']}"
        assert (job["status"], job["kind"], job["queue_position"], job["attempt"]) == ("queued", "animate", place, 0)
    request = job["request"]
    assert (request["num_inference_steps"], request["motion_intensity"], request["noise_refinement"]) == (20, 10, True)
    assert 0 <= request["seed"] < 2**32
    polled = httpx.get(job["urls"]["self"])
    assert polled.status_code == 200
    assert polled.json() == job
    assert api.redis.llen("animate") == 2


def test_the_message_contains_only_the_jobs_id(api: Api, photo: bytes) -> None:
    fields = {"prompt": "a private sentence"}
    job = httpx.post(f"{api.url}/animate", data=fields, files={"image": photo}).json()
    message = api.redis.lindex("animate", 0)
    assert message is not None
    assert b"a private sentence" not in message
    assert job["id"].encode() in message


@pytest.mark.parametrize("path", ["/jobs/job_unknown", "/nowhere", "/job"])
def test_anything_unknown_is_a_404_problem(api: Api, path: str) -> None:
    answer = httpx.get(api.url + path, follow_redirects=True)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(("path", "allowed"), [("/animate", "POST"), ("/jobs/job_1", "GET, HEAD, DELETE")])
def test_an_unsupported_method_is_a_405_problem_with_the_allowed_ones(api: Api, path: str, allowed: str) -> None:
    answer = httpx.put(api.url + path)
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert answer.headers["allow"] == allowed


def test_a_valid_request_id_is_kept(api: Api) -> None:
    asked = {"x-request-id": "order-4711"}
    assert httpx.get(f"{api.url}/healthz", headers=asked).headers["x-request-id"] == "order-4711"
    forged = {"x-request-id": 'a"}{'}
    assert httpx.get(f"{api.url}/healthz", headers=forged).headers["x-request-id"] != forged["x-request-id"]


def test_the_openapi_document_is_valid_and_names_every_field(api: Api) -> None:
    document = httpx.get(f"{api.url}/openapi.json").json()
    validate(document)
    form = document["paths"]["/animate"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {*SOURCES, *AnimateRequest.model_fields, *JobOptions.model_fields}
    assert {"202", "400", "413", "415", "422", "503"} <= set(document["paths"]["/animate"]["post"]["responses"])


def test_a_running_service_is_alive_and_ready(api: Api) -> None:
    for path in ("/healthz", "/readyz"):
        assert httpx.get(api.url + path).json() == {"status": "ok"}


def test_without_redis_the_service_is_alive_but_not_ready_and_says_why(tmp_path: Path, photo: bytes) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "CINEMO_REDIS_URL": "redis://127.0.0.1:1/0",
        "CINEMO_STORAGE_URL": f"file://{tmp_path}",
        "CINEMO_URL_SIGNING_KEY": "k",
        "CINEMO_AUTH": "off",
    }

    command = [PYTHON, "-m", "service", "--port", str(port)]
    with running(command, tmp_path / "log", lambda: answers(f"{url}/healthz"), environment):
        for answer in (
            httpx.get(f"{url}/readyz", timeout=30),
            httpx.get(f"{url}/jobs/job_1", timeout=30),
            httpx.post(f"{url}/animate", data={"prompt": "waves"}, files={"image": photo}, timeout=30),
        ):
            assert answer.status_code == 503
            assert answer.json()["code"] == "QUEUE.UNAVAILABLE"
            assert answer.json()["retryable"] is True
            assert int(answer.headers["retry-after"]) > 0
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_signed_files_are_served_with_ranges_and_only_as_signed(api: Api) -> None:
    store = LocalStore(api.storage_folder, api.url, "for tests alone")
    store.put_bytes("jobs/job_1/1/video.mp4", b"0123456789", "video/mp4")
    url = store.presign("jobs/job_1/1/video.mp4", 60)
    whole, part = httpx.get(url), httpx.get(url, headers={"range": "bytes=2-4"})
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, b"0123456789", "video/mp4")
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    query = urlsplit(url).query
    assert httpx.get(f"{api.url}/files/jobs/job_2/1/video.mp4?{query}").status_code == 403
    assert httpx.get(f"{api.url}/files/jobs/job_1/1/video.mp4").status_code == 422
    assert httpx.get(store.presign("jobs/job_1/1/video.mp4", -5)).status_code == 403
    assert httpx.get(store.presign("jobs/job_1/1/gone.mp4", 60)).status_code == 404
