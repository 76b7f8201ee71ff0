"""The dialect of OpenAI's Videos API under /v1, as its clients write it, against an API without workers."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from cinemo_spec.card import BUILT_IN_CARDS
from service.contract.record import Job, JobMetrics
from service.store.tenants import Scope, TenantStore
from tests.conftest import Api, api_running
from tests.jobs import LOST, OUTPUT, JobStore, new_training, retaken, step

SDK = {"x-stainless-lang": "python"}


def create(
    api: Api, photo: bytes | None = None, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    """Send a form, as all these clients do even without a file."""
    parts: list[tuple[str, Any]] = [("prompt", (None, "waves"))]
    for name, value in fields.items():
        values = value if isinstance(value, list) else [value]
        parts += [(name, (None, each)) for each in values]
    if photo is not None:
        parts.append(("input_reference", ("photo.bin", photo, "application/octet-stream")))
    return httpx.post(f"{api.url}/v1/videos", files=parts, headers=headers, timeout=30)


def record(api: Api, answer: httpx.Response) -> Job:
    assert answer.status_code == 200, answer.text
    job = JobStore(api.redis).queries.get(answer.json()["id"])
    assert job is not None
    return job


def data_url(photo: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(photo).decode()


def test_a_video_is_the_same_job_as_from_post_animate(api: Api, photo: bytes) -> None:
    video = create(api, photo, seconds="4", size="640x480", model="tiny").json()
    assert video == {
        "id": video["id"],
        "object": "video",
        "model": "tiny",
        "status": "queued",
        "progress": 0,
        "created_at": video["created_at"],
        "completed_at": None,
        "expires_at": None,
        "prompt": "waves",
        "size": "640x480",
        "seconds": "3.79",
        "remixed_from_video_id": None,
        "error": None,
        "url": None,
    }
    ours = httpx.get(f"{api.url}/jobs/{video['id']}").json()
    assert ours["kind"] == "animate"
    assert (ours["request"]["width"], ours["request"]["height"], ours["request"]["clips"]) == (640, 480, 2)
    animated = httpx.post(f"{api.url}/animate", data={"prompt": "sway"}, files={"image": photo}).json()
    theirs = httpx.get(f"{api.url}/v1/videos/{animated['id']}")
    assert theirs.json()["prompt"] == "sway"
    assert theirs.headers["openai-poll-after-ms"] == "1000"


@pytest.mark.parametrize(
    ("seconds", "clips", "state_of"),
    [("1", 1, "1.92"), ("2", 1, "1.92"), ("3", 2, "3.79"), ("4", 2, "3.79"), ("8", 4, "7.54"), ("12", 6, "11.29")],
)
def test_a_length_is_rounded_to_whole_clips_and_the_response_states_the_result(
    api: Api, photo: bytes, seconds: str, clips: int, state_of: str
) -> None:
    answer = create(api, photo, seconds=seconds)
    assert answer.json()["seconds"] == state_of
    job = record(api, answer)
    assert job.request.model_dump()["clips"] == clips


def test_a_length_in_frames_is_one_clip_if_it_fits(api: Api, photo: bytes) -> None:
    one, many = create(api, photo, num_frames="17", seconds="9"), create(api, photo, num_frames="81", fps="16")
    assert {"frames": 17, "clips": 1}.items() <= record(api, one).request.model_dump().items()
    assert {"frames": 16, "clips": 5, "fps": 16}.items() <= record(api, many).request.model_dump().items()


@pytest.mark.parametrize("wrong", ["0", "-4", "four", "2.5", "16", "9999999"])
def test_an_impossible_length_is_rejected(api: Api, photo: bytes, wrong: str) -> None:
    answer = create(api, photo, seconds=wrong)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "seconds"


def as_nested_text(api: Api, photo: bytes) -> httpx.Response:
    nested: dict[str, Any] = {"input_reference[image_url]": data_url(photo)}
    return create(api, **nested)


def as_text(api: Api, photo: bytes) -> httpx.Response:
    return create(api, input_reference=data_url(photo))


def as_text_with_parameters(api: Api, photo: bytes) -> httpx.Response:
    url = data_url(photo).replace("data:", "DATA:").replace(";base64", ";name=a%20b.jpg;charset=utf-8;base64")
    return create(api, input_reference=url)


def as_text_in_a_file(api: Api, photo: bytes) -> httpx.Response:
    return create(api, data_url(photo).encode())


def as_image_reference(api: Api, photo: bytes) -> httpx.Response:
    return create(api, image_reference=json.dumps({"image_url": data_url(photo)}))


def as_json(api: Api, photo: bytes) -> httpx.Response:
    body = {"prompt": "waves", "input_reference": {"image_url": data_url(photo)}}
    return httpx.post(f"{api.url}/v1/videos", json=body, timeout=30)


def as_base64(api: Api, photo: bytes) -> httpx.Response:
    body = {"prompt": "waves", "image_base64": base64.b64encode(photo).decode()}
    return httpx.post(f"{api.url}/v1/videos", json=body, timeout=30)


def as_upload(api: Api, photo: bytes) -> httpx.Response:
    upload = httpx.post(f"{api.url}/uploads", content=photo).json()["id"]
    body = {"prompt": "waves", "input_reference": {"file_id": upload}}
    return httpx.post(f"{api.url}/v1/videos", json=body, timeout=30)


WAYS = [
    as_nested_text,
    as_text,
    as_text_with_parameters,
    as_text_in_a_file,
    as_image_reference,
    as_json,
    as_base64,
    as_upload,
]


@pytest.mark.parametrize("send", WAYS)
def test_the_photo_can_be_sent_in_every_way_that_clients_use(
    api: Api, photo: bytes, send: Callable[[Api, bytes], httpx.Response]
) -> None:
    by_file = record(api, create(api, photo))
    assert record(api, send(api, photo)).input_size == by_file.input_size


@pytest.mark.parametrize("send", [as_nested_text, as_image_reference, as_json])
def test_a_large_photo_can_be_sent_as_text(
    api: Api, photo: bytes, send: Callable[[Api, bytes], httpx.Response]
) -> None:
    large = photo + bytes(3 * 1024 * 1024)
    assert record(api, send(api, large)).input_size == record(api, create(api, photo)).input_size


def test_extra_parameters_can_be_flat_nested_or_repeated(api: Api, photo: bytes) -> None:
    flat: dict[str, Any] = {
        "num_inference_steps": "4",
        "noise_refinement": "false",
        "seed": "7",
        "guidance_scale": "2.5",
    }
    more: dict[str, Any] = {
        "metadata[order]": "4711",
        "webhook_events[]": ["job.failed", "job.succeeded"],
        "negative_prompt": "blur",
    }
    job = record(api, create(api, photo, **flat, **more, extra_params=json.dumps({"motion_intensity": 12})))
    wanted = {"num_inference_steps": 4, "noise_refinement": False, "seed": 7, "guidance_scale": 2.5}
    assert {**wanted, "negative_prompt": "blur", "motion_intensity": 12}.items() <= job.request.model_dump().items()
    assert job.options.metadata == {"order": "4711"}
    assert job.options.webhook_events == ("job.failed", "job.succeeded")
    nested: dict[str, Any] = {"extra_params[motion_intensity]": "3"}
    bracketed = record(api, create(api, photo, **nested))
    assert bracketed.request.model_dump()["motion_intensity"] == 3


def test_a_request_for_the_hosted_model_gets_the_services_own(api: Api, photo: bytes) -> None:
    assert create(api, photo, model="sora-2").json()["model"] == "tiny"
    assert create(api, photo, model="sora-2-pro").json()["model"] == "tiny"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"size": "large"}, "size"),
    ({"size": "640x480", "width": "640"}, "size"),
    ({"size": "641x480"}, "size"),
    ({"model": "nothing"}, "model"),
    ({"flow_shift": "3"}, "flow_shift"),
    ({"seed": "-1"}, "seed"),
    ({"extra_params": '{"seed": 1}', "seed": "1"}, "seed"),
    ({"extra_params": "{"}, "extra_params"),
    ({"image_reference": '{"image_url": "https://a.example/1.jpg"}'}, "image_reference"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED)
def test_errors_are_reported_in_both_dialects(api: Api, photo: bytes, fields: dict[str, Any], param: str) -> None:
    answer = create(api, photo, **fields)
    body = answer.json()
    assert answer.status_code == body["status"] == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["error"] == {
        "message": body["detail"],
        "type": "invalid_request_error",
        "param": param,
        "code": body["code"],
    }
    assert body["errors"][0]["pointer"] == f"#/{param}"
    assert api.redis.llen("animate") == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": "8x8"}, "size: must be at least 16"),
        ({"input_reference": {"file_id": 7}}, "input_reference: must be text"),
        ({"prompt": None}, "prompt: is required"),
    ],
)
def test_a_message_names_the_field_that_the_client_sent(
    api: Api, photo: bytes, fields: dict[str, Any], message: str
) -> None:
    body = {"prompt": "waves", "input_reference": {"image_url": data_url(photo)}, **fields}
    assert httpx.post(f"{api.url}/v1/videos", json=body).json()["error"]["message"] == message


def test_a_message_about_a_parameter_names_it(api: Api) -> None:
    refused = httpx.get(f"{api.url}/v1/videos", params={"limit": 0}).json()["error"]
    assert (refused["param"], refused["message"]) == ("limit", "limit: must be at least 1")


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"file_id": "upload_none"},
        {"image_url": "data:image/png,abc"},
        {"image_url": "data:;base64,###"},
        {"id": 1},
        7,
    ],
)
def test_a_reference_without_a_picture_is_rejected(api: Api, reference: Any) -> None:
    answer = httpx.post(f"{api.url}/v1/videos", json={"prompt": "waves", "input_reference": reference})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_reference")


@pytest.mark.parametrize("place", ["extra_params", "metadata", "video", "nothing"])
def test_a_large_picture_in_the_wrong_place_is_rejected(api: Api, photo: bytes, place: str) -> None:
    large = data_url(photo + bytes(512 * 1024))
    body = {"prompt": "waves", place: {"image_url": large}}
    for path in ("/v1/videos", "/v1/videos/edits"):
        answer = httpx.post(f"{api.url}{path}", json=body, headers={"Idempotency-Key": "order-4711"}, timeout=30)
        assert answer.status_code == 400, answer.text


def test_without_a_photo_the_error_says_what_the_models_do(api: Api) -> None:
    for answer in (create(api), httpx.post(f"{api.url}/v1/videos", json={"prompt": "waves"})):
        assert answer.status_code == 400
        assert "animate a photo" in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] == "input_reference"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/videos/job_1/remix"),
        ("POST", "/v1/videos/characters"),
        ("GET", "/v1/videos/characters/char_1"),
        ("POST", "/v1/videos/extensions"),
        ("POST", "/v1/files"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/videos/job_1"),
        ("DELETE", "/v1/videos/job_1"),
        ("GET", "/v1/videos/job_1/content"),
        ("GET", "/v1/models/nothing"),
    ],
)
def test_unknown_videos_are_404_errors_in_the_dialect(api: Api, method: str, path: str) -> None:
    answer = httpx.request(method, f"{api.url}{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["message"]


def test_only_the_dialect_has_the_member_error(api: Api) -> None:
    assert "error" not in httpx.get(f"{api.url}/jobs/job_1").json()


def test_models_are_listed(api: Api) -> None:
    listed = httpx.get(f"{api.url}/v1/models").json()
    built_in = [{"id": name, "object": "model", "created": 0, "owned_by": "cinemo"} for name in BUILT_IN_CARDS]
    assert listed == {"object": "list", "data": built_in}
    assert [httpx.get(f"{api.url}/v1/models/{each['id']}").json() for each in built_in] == built_in


def test_the_list_is_paged_in_either_order_and_contains_only_videos(api: Api, photo: bytes) -> None:
    ids = [create(api, photo).json()["id"] for _ in range(5)]
    JobStore(api.redis).submissions.create(new_training("job_" + "f" * 32))

    def page(**asked: Any) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{api.url}/v1/videos", params=asked).json()
        return found

    whole = page()
    assert [each["id"] for each in whole["data"]] == ids[::-1]
    assert (whole["object"], whole["has_more"]) == ("list", False)
    first = page(limit=2, order="asc")
    assert [each["id"] for each in first["data"]] == ids[:2]
    assert (first["first_id"], first["last_id"], first["has_more"]) == (ids[0], ids[1], True)
    rest = page(limit=3, order="asc", after=first["last_id"])
    assert [each["id"] for each in rest["data"]] == ids[2:]
    assert not rest["has_more"]
    assert page(after=ids[0]) == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert httpx.get(f"{api.url}/v1/videos", params={"after": "nothing"}).status_code == 400


def test_states_are_those_of_the_dialect(api: Api, photo: bytes) -> None:
    store = JobStore(api.redis)

    def state_of(job_id: str) -> tuple[str, int, str | None]:
        video = httpx.get(f"{api.url}/v1/videos/{job_id}").json()
        return video["status"], video["progress"], video["error"] and video["error"]["code"]

    ids = [create(api, photo, {"Cancel-After": "1h"}).json()["id"] for _ in range(4)]
    assert state_of(ids[0]) == ("queued", 0, None)
    job = retaken(store, ids[0])
    store.attempts.report_progress(job, step(1))
    assert state_of(ids[0]) == ("in_progress", 25, None)
    store.attempts.report_progress(job, step(4))
    assert state_of(ids[0]) == ("in_progress", 99, None)
    store.cancel(job)
    assert state_of(ids[0]) == ("in_progress", 99, None)
    store.attempts.release(job)
    assert state_of(ids[0]) == ("failed", 99, "JOB.CANCELED")
    store.attempts.fail(retaken(store, ids[1]), LOST)
    assert state_of(ids[1]) == ("failed", 0, "WORKER.LOST")
    store.attempts.succeed(retaken(store, ids[2]), OUTPUT, JobMetrics())
    store.recovery.expire(ids[3])
    assert state_of(ids[3]) == ("failed", 0, "DEADLINE.PASSED")
    video = httpx.get(f"{api.url}/v1/videos/{ids[2]}")
    assert (video.json()["status"], video.json()["progress"], video.json()["seconds"]) == ("completed", 100, "2")
    assert video.json()["completed_at"] < video.json()["expires_at"]
    assert "openai-poll-after-ms" not in video.headers


def test_missing_content_is_an_error_that_says_whether_it_may_still_come(api: Api, photo: bytes) -> None:
    job_id = create(api, photo).json()["id"]
    waiting = httpx.get(f"{api.url}/v1/videos/{job_id}/content")
    assert (waiting.status_code, waiting.json()["code"]) == (400, "VIDEO.NOT_READY")
    other = httpx.get(f"{api.url}/v1/videos/{job_id}/content", params={"variant": "audio"})
    assert (other.status_code, other.json()["error"]["param"]) == (400, "variant")
    deleted = httpx.delete(f"{api.url}/v1/videos/{job_id}")
    assert deleted.json() == {"id": job_id, "object": "video.deleted", "deleted": True}
    assert httpx.get(f"{api.url}/v1/videos/{job_id}/content").status_code == 404
    assert httpx.get(f"{api.url}/jobs/{job_id}").json()["data_removed"]


def test_a_request_that_an_sdk_retries_gets_the_same_job(api: Api, photo: bytes) -> None:
    def sent(count: int | None, **fields: Any) -> str:
        headers = SDK if count is None else {**SDK, "x-stainless-retry-count": str(count)}
        answer = create(api, photo, headers, **fields)
        assert ("idempotency-replayed" in answer.headers) == (count not in (None, 0) and not fields)
        return str(answer.json()["id"])

    first = sent(0)
    assert sent(1) == sent(2) == first
    afresh = sent(0)
    assert afresh != first
    assert sent(1) == afresh
    uncounted = sent(None)
    assert uncounted != afresh
    assert sent(1) == uncounted
    assert sent(1, seed="1") not in (first, afresh, uncounted)
    assert api.redis.llen("animate") == 4


def test_a_retry_of_a_request_that_never_arrived_creates_the_job(api: Api, photo: bytes) -> None:
    headers = {**SDK, "x-stainless-retry-count": "1"}
    ids = {create(api, photo, headers).json()["id"] for _ in range(2)}
    assert len(ids) == 1


def test_after_a_minute_a_retry_is_another_request(api: Api, photo: bytes) -> None:
    first = create(api, photo, {**SDK, "x-stainless-retry-count": "0"}).json()["id"]
    (key,) = api.redis.keys("{cinemo}:idempotency:*")
    assert 0 < api.redis.ttl(key) <= 60
    api.redis.delete(key)
    assert create(api, photo, {**SDK, "x-stainless-retry-count": "1"}).json()["id"] != first


def test_equal_concurrent_requests_create_a_job_each(api: Api, photo: bytes) -> None:
    headers = {**SDK, "x-stainless-retry-count": "0"}
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: create(api, photo, headers).json()["id"], range(8)))
    assert len(set(ids)) == 8


def test_requests_of_clients_without_a_retry_count_are_never_merged(api: Api, photo: bytes) -> None:
    assert create(api, photo).json()["id"] != create(api, photo).json()["id"]
    key = {"Idempotency-Key": "order-4711", **SDK, "x-stainless-retry-count": "0"}
    assert create(api, photo, key).json()["id"] == create(api, photo, key).json()["id"]


def test_a_retryable_error_says_when_to_retry(api: Api, photo: bytes) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: create(api, photo, {"Idempotency-Key": "order-4711"}), range(12)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} <= {(409, "1")}


def test_tenants_see_nothing_of_each_other(
    redis_port: int, redis_client: Any, photo: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with api_running(tmp_path_factory.mktemp("keys"), redis_port, {"CINEMO_AUTH": "keys"}) as api:
        tenants = TenantStore(api.redis)
        headers = [
            {"Authorization": f"Bearer {tenants.create_key(name, frozenset([Scope.ANIMATE]))[1]}", **SDK}
            for name in ("anna", "ben")
        ]
        anna, ben = ({**each, "x-stainless-retry-count": "0"} for each in headers)
        job_id = create(api, photo, anna).json()["id"]
        place = f"{api.url}/v1/videos/{job_id}"
        for refused in (
            httpx.get(place, headers=ben),
            httpx.get(f"{place}/content", headers=ben),
            httpx.delete(place, headers=ben),
        ):
            assert refused.status_code == 404
        assert httpx.get(f"{api.url}/v1/videos", headers=ben).json()["data"] == []
        assert create(api, photo, {**ben, "x-stainless-retry-count": "1"}).json()["id"] != job_id
        assert httpx.get(place, headers=anna).json()["status"] == "queued"
        unknown = httpx.get(place, headers={"Authorization": "Bearer nobody"})
        assert (unknown.status_code, unknown.json()["error"]["type"]) == (401, "authentication_error")
