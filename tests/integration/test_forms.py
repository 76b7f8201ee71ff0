"""Forms and JSON as clients encode them, and equivalent encodings of the same request."""

import json
from typing import Any

import httpx
import pytest

from tests.conftest import Api
from tests.pictures import small_png

PHOTO = ("photo.png", small_png(), "image/png")
METADATA, EVENTS = {"order": "4711"}, ["job.succeeded", "job.failed"]
JSON = "application/json"

FORMS: dict[str, list[tuple[str, Any]]] = {
    "text": [("metadata", (None, json.dumps(METADATA))), ("webhook_events", (None, json.dumps(EVENTS)))],
    "JSON parts": [
        ("metadata", (None, json.dumps(METADATA), JSON)),
        ("webhook_events", (None, json.dumps(EVENTS), JSON)),
    ],
    "JSON parts as Blobs": [
        ("metadata", ("blob", json.dumps(METADATA), JSON)),
        ("webhook_events", ("blob", json.dumps(EVENTS), JSON)),
    ],
    "repeated": [("metadata[order]", (None, "4711")), *(("webhook_events", (None, each)) for each in EVENTS)],
    "repeated as JSON": [
        ("metadata", (None, json.dumps(METADATA), JSON)),
        *(("webhook_events", (None, json.dumps(each), JSON)) for each in EVENTS),
    ],
    "axios": [("metadata{}", (None, json.dumps(METADATA))), *(("webhook_events[]", (None, each)) for each in EVENTS)],
    "numbered": [
        ("metadata[order]", (None, "4711")),
        *((f"webhook_events[{number}]", (None, each)) for number, each in enumerate(EVENTS)),
    ],
    "commas": [("metadata", (None, json.dumps(METADATA))), ("webhook_events", (None, ",".join(EVENTS)))],
}


def accepted(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


@pytest.mark.parametrize("way", FORMS)
def test_forms_accept_objects_and_arrays_in_every_common_encoding(api: Api, way: str) -> None:
    parts = [("image", PHOTO), ("prompt", (None, "waves")), *FORMS[way]]
    job = accepted(httpx.post(f"{api.url}/animate", files=parts))
    assert (job["metadata"], job["webhook_events"]) == (METADATA, EVENTS)


def test_an_empty_file_input_counts_as_omitted(api: Api) -> None:
    upload = httpx.post(f"{api.url}/uploads", content=small_png()).json()["id"]
    for empty in (("", b"", "application/octet-stream"), ("image.png", b"", "image/png")):
        parts: list[tuple[str, Any]] = [("image", empty), ("prompt", (None, "waves")), ("upload_id", (None, upload))]
        accepted(httpx.post(f"{api.url}/animate", files=parts))
    chosen: list[tuple[str, Any]] = [
        ("image", PHOTO),
        ("prompt", (None, "waves")),
        ("upload_id", (None, "")),
        ("seed", (None, "")),
    ]
    accepted(httpx.post(f"{api.url}/animate", files=chosen))
    alone: list[tuple[str, Any]] = [("image", empty), ("prompt", (None, "waves"))]
    refused = httpx.post(f"{api.url}/animate", files=alone)
    assert refused.status_code in (415, 422)


def test_null_counts_as_omitted(api: Api) -> None:
    upload = httpx.post(f"{api.url}/uploads", content=small_png()).json()["id"]
    nulls = dict.fromkeys(
        ("seed", "negative_prompt", "metadata", "webhook_url", "webhook_events", "image_url", "model")
    )
    job = accepted(httpx.post(f"{api.url}/animate", json={"prompt": "waves", "upload_id": upload, **nulls}))
    assert (job["metadata"], job["request"]["model"]) == ({}, "tiny")
    missing = httpx.post(f"{api.url}/animate", json={"prompt": None, "upload_id": upload})
    assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "#/prompt")


@pytest.mark.parametrize("place", ["/animate", "/train", "/uploads"])
def test_a_compressed_body_is_rejected_with_the_reason(api: Api, place: str) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": JSON}
    refused = httpx.post(api.url + place, content=b"\x1f\x8b", headers=headers)
    assert (refused.status_code, "gzip" in refused.json()["detail"]) == (415, True)


def test_the_same_json_in_another_order_is_the_same_request(api: Api) -> None:
    upload = httpx.post(f"{api.url}/uploads", content=small_png()).json()["id"]
    headers = {"Idempotency-Key": "order-1", "Content-Type": JSON}
    sent = {"prompt": "waves", "upload_id": upload, "seed": 1, "metadata": {"a": "1", "b": "2"}}
    turned = {**dict(reversed(sent.items())), "metadata": {"b": "2", "a": "1"}, "model": None}
    first = accepted(httpx.post(f"{api.url}/animate", content=json.dumps(sent), headers=headers))
    for body in (json.dumps(turned, indent=4), json.dumps(sent, separators=(",", ":"))):
        assert httpx.post(f"{api.url}/animate", content=body, headers=headers).json()["id"] == first["id"], body
    other = httpx.post(f"{api.url}/animate", content=json.dumps({**sent, "seed": 2}), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY.KEY_REUSED")


def test_the_same_parts_in_another_order_are_the_same_request(api: Api) -> None:
    video = ("video.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4")
    texts = [("prompt", (None, "waves")), ("metadata", (None, '{"a":"1","b":"2"}'))]
    parts: list[tuple[str, Any]] = [("video", video), ("image", PHOTO), *texts]
    turned: list[tuple[str, Any]] = [("metadata", (None, '{"b": "2", "a": "1"}', JSON)), *reversed(parts[:3])]
    headers = {"Idempotency-Key": "order-2"}
    first = accepted(httpx.post(f"{api.url}/edit", files=parts, headers=headers))
    assert accepted(httpx.post(f"{api.url}/edit", files=turned, headers=headers))["id"] == first["id"]


def test_the_openapi_document_states_how_forms_encode_objects_and_arrays(api: Api) -> None:
    document = httpx.get(f"{api.url}/openapi.json").json()
    for place in ("/animate", "/edit"):
        form = document["paths"][place]["post"]["requestBody"]["content"]["multipart/form-data"]
        assert {"metadata", "webhook_events"} <= set(form["encoding"])
        assert {each["contentType"] for each in form["encoding"].values()} == {JSON}
