"""Malicious JSON and fields over real HTTP: rejected by name, nothing queued, and the service still up."""

import json
from typing import Any

import httpx
import pytest

from service.contract.settings import MEBIBYTE
from tests.conftest import Api
from tests.integration.bodies import IMAGE, send, send_fields
from tests.integration.refusal import assert_refused
from tests.pictures import small_png


@pytest.mark.parametrize("path", ["/animate", "/edit", "/train", "/uploads/presigned"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"prompt": "a", "prompt": "b"}', "'prompt'"),
        ('{"metadata": {"a": "1", "a": "2"}}', "'a'"),
        ('{"seed": NaN}', "NaN"),
        ('{"guidance_scale": -Infinity}', "Infinity"),
        ('{"a": ' * 30_000, "too deeply"),
        ("[" * 200_000, "too deeply"),
        ('{"seed": ' + "9" * 5000 + "}", "INPUT.BODY.MALFORMED"),
        ('{"prompt": "a",}', "INPUT.BODY.MALFORMED"),
        ('{"prompt": "a"} {}', "INPUT.BODY.MALFORMED"),
        ('["prompt"]', "object"),
        ('"prompt"', "object"),
        (b'\xff\xfe{"prompt": 1}', "INPUT.BODY.MALFORMED"),
        (b'\xef\xbb\xbf{"prompt": 1}', "INPUT.BODY.MALFORMED"),
    ],
    ids=range(13),
)
def test_json_that_is_not_strict_is_rejected(api: Api, path: str, body: str | bytes, words: str) -> None:
    assert_refused(api, send(api, body, path), 400, None, words)


@pytest.mark.parametrize("path", ["/animate", "/train", "/uploads/presigned", "/webhooks/redeliver"])
def test_the_size_of_a_json_body_is_limited(api: Api, path: str) -> None:
    huge = b'{"prompt": "' + b"x" * (24 * MEBIBYTE) + b'"}'
    assert_refused(api, send(api, huge, path), 413, None, "bytes")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("seed", True, "integer"),
        ("seed", "1", "integer"),
        ("seed", 1.5, "integer"),
        ("guidance_scale", False, "number"),
        ("guidance_scale", 10**400, "number"),
        ("noise_refinement", 1, "true or false"),
        ("motion_intensity", [3], "number"),
        ("motion_bucket_id", 1001, "1000"),
        ("noise_cutoff", 1.1, "1"),
        ("noise_level", 1000, "999"),
        ("sampler", "euler", "ddim"),
        ("cache_interval", 0, "1"),
        ("frames", 7, "8"),
        ("frames", 33, "32"),
        ("clips", 17, "16"),
        ("fps", 0, "1"),
        ("fps", 101, "100"),
        ("format", "exe", "mp4"),
        ("format", "../mp4", "mp4"),
        ("fit", "stretch", "crop"),
        ("model", "m" * 300, "200"),
        ("model", "\ud800", "surrogates"),
        ("model", "../../etc", "INPUT.MODEL.UNKNOWN"),
        ("prompt", "\ud83d", "surrogate"),
        ("prompt", "a\0b", "NUL"),
        ("prompt", "abc\u202egnp.exe", "bidirectional"),
        ("prompt", {"a": 1}, "text"),
        ("priority", 101, "100"),
        ("priority", True, "integer"),
        ("reuse", "yes", "true or false"),
        ("webhook_events", ["job.exploded"], "job.succeeded"),
        ("webhook_events", "job.succeeded", "array"),
        ("webhook_url", "ftp://example.com", "http"),
        ("webhook_url", "http://169.254.169.254/latest", "INPUT.URL.FORBIDDEN"),
        ("webhook_url", "http://example.com/\r\nX-Evil: 1", "pattern"),
        ("image_url", "http://169.254.169.254/latest", "required"),
        ("colour", "red", "unknown field"),
    ],
)
def test_an_invalid_value_is_rejected_by_field_name(api: Api, field: str, value: Any, words: str) -> None:
    pointer = f"#/{field}/0" if isinstance(value, list) and field == "webhook_events" else f"#/{field}"
    assert_refused(api, send_fields(api, **{field: value}), 422, pointer, words)


@pytest.mark.parametrize(
    ("metadata", "pointer", "words"),
    [
        ({"a\r\nX-Evil": "1"}, "#/metadata/a%0D%0AX-Evil/[key]", "pattern"),
        ({"a/b~c": "1"}, "#/metadata/a~1b~0c/[key]", "pattern"),
        ({"\ud800": "1"}, "#/metadata/%EF%BF%BD%EF%BF%BD%EF%BF%BD/[key]", "surrogates"),
        ({"a": 1}, "#/metadata/a", "text"),
        ({"a": "x" * 501}, "#/metadata/a", "500"),
        ({"a": "\u2066"}, "#/metadata/a", "bidirectional"),
        ({f"name-{n}": "" for n in range(51)}, "#/metadata", "50"),
        ({"a": {"b": "c"}}, "#/metadata/a", "text"),
    ],
)
def test_invalid_metadata_is_rejected(api: Api, metadata: dict[str, Any], pointer: str, words: str) -> None:
    answer = send_fields(api, metadata=metadata)
    found = [error["pointer"].replace("%5B", "[").replace("%5D", "]") for error in answer.json()["errors"]]
    assert pointer in found
    assert_refused(api, answer, 422, None, words)
    form = {"prompt": "waves", "metadata": json.dumps(metadata)}
    assert_refused(api, httpx.post(f"{api.url}/animate", data=form, files={"image": small_png()}), 422, None, words)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": "1", "a": "2"}', "[" * 50_000])
def test_metadata_in_a_form_must_be_json(api: Api, text: str) -> None:
    form = {"prompt": "waves", "metadata": text}
    answer = httpx.post(f"{api.url}/animate", data=form, files={"image": small_png()})
    assert_refused(api, answer, 422, "#/metadata", "")


def test_a_thousand_unknown_fields_get_a_short_response(api: Api) -> None:
    answer = send_fields(api, **{f"{n}-{'x' * 100}": 1 for n in range(1000)})
    assert_refused(api, answer, 422, None, "unknown field")
    assert len(answer.content) < 50_000


def test_a_field_name_with_surrogates_is_rejected(api: Api) -> None:
    answer = send_fields(api, **{"\ud800": 1})
    assert_refused(api, answer, 422, "#", "surrogates")
    assert not answer.json()["detail"].startswith(":"), "no field is at fault"


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({"frames": 32, "clips": 16}, "#/frames", "128 frames"),
        ({"width": 2048, "height": 2048}, "#/width", "2,073,600 pixels"),
        ({"width": 1920, "height": 1080, "clips": 8}, "#/frames", "536,870,912 pixels in all"),
        ({"width": 2048, "height": 1024, "detail": "off"}, "#/width", "1,048,576 pixels"),
        ({"width": 64, "detail": "off"}, "#/height", "or neither"),
        ({"height": 64, "detail": "off"}, "#/height", "or neither"),
        ({"width": 100, "height": 64, "detail": "off"}, "#/width", "multiple of 8"),
        ({"width": 64, "height": 100, "detail": "off"}, "#/height", "multiple of 8"),
        ({"width": 101}, "#/width", "multiple of 2"),
        ({"width": 2048}, "#/width", "2,073,600 pixels"),
        ({"detail": "more"}, "#/detail", "'photo' or 'off'"),
        ({"detail": "off", "frame_rate_factor": 2}, "#/frame_rate_factor", "must be 1"),
        ({"frame_rate_factor": 4}, "#/frame_rate_factor", "3"),
        ({"fps": 60, "frame_rate_factor": 2}, "#/frame_rate_factor", "at most 100"),
        ({"width": 2056, "height": 64}, "#/width", "2048"),
    ],
)
def test_values_out_of_range_are_rejected(api: Api, fields: dict[str, Any], pointer: str, words: str) -> None:
    assert_refused(api, send_fields(api, **fields), 422, pointer, words)


def test_a_body_that_contradicts_its_content_type_is_rejected(api: Api) -> None:
    text = json.dumps({"prompt": "waves", "image_base64": IMAGE})
    assert_refused(api, send(api, text, kind="multipart/form-data; boundary=b"), 400, None, "multipart")
    form = b'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nwaves\r\n--b--\r\n'
    assert_refused(api, send(api, form), 400, None, "INPUT.BODY.MALFORMED")
