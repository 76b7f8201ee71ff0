"""Invalid input over HTTP: a 4xx with a clear message, nothing queued, and the service still up."""

import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.contract.settings import MEBIBYTE
from tests.conftest import Api
from tests.integration.refusal import assert_refused
from tests.pictures import png_header, small_png


def post(api: Api, image: bytes | None, **fields: Any) -> httpx.Response:
    files = {} if image is None else {"image": ("photo", image)}
    return httpx.post(f"{api.url}/animate", data={"prompt": "waves", **fields}, files={**files}, timeout=60)


@pytest.mark.parametrize(
    ("image", "status", "words"),
    [
        (b"this is not an image", 415, "JPEG, PNG, WebP"),
        (b"", 422, "0 bytes"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 200, 422, "truncated or damaged"),
        (small_png()[:-30], 422, "truncated or damaged"),
        (b"\xff\xd8\xff" + b"x" * (20 * MEBIBYTE), 413, "bytes"),
        (png_header(30_000, 30_000), 413, "pixels"),
        (png_header(9000, 10), 413, "9000x10"),
        (b"GIF89a" + b"\0" * 30, 415, "JPEG, PNG, WebP"),
    ],
    ids=["text", "empty", "broken jpeg", "truncated png", "20 MB", "30000x30000", "too wide", "gif"],
)
def test_a_bad_picture_is_refused(api: Api, image: bytes, status: int, words: str) -> None:
    assert_refused(api, post(api, image), status, "#/image", words)


def test_a_truncated_jpeg_is_refused(api: Api, photo: bytes) -> None:
    assert_refused(api, post(api, photo[: len(photo) // 2]), 422, "#/image", "truncated")


def test_a_missing_picture_is_refused(api: Api) -> None:
    answer = httpx.post(f"{api.url}/animate", files={"prompt": (None, "waves")})
    assert_refused(api, answer, 422, "#/image", "required")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("prompt", "", "empty"),
        ("prompt", "  \n ", "empty"),
        ("prompt", "x" * 5000, "1000"),
        ("prompt", "a\0b", "NUL"),
        ("negative_prompt", "a\0b", "NUL"),
        ("motion_intensity", "20", "19"),
        ("motion_intensity", "-1", "0"),
        ("motion_intensity", "true", "number"),
        ("num_inference_steps", "0", "1"),
        ("num_inference_steps", "201", "200"),
        ("num_inference_steps", "2.5", "integer"),
        ("guidance_scale", "NaN", "finite"),
        ("guidance_scale", "inf", "finite"),
        ("guidance_scale", "0.5", "1"),
        ("seed", "4294967296", "4294967295"),
        ("seed", "-1", "0"),
        ("noise_refinement", "perhaps", "true or false"),
        ("colour", "red", "unknown field"),
        ("model", "another", "no model another"),
    ],
)
def test_an_invalid_field_is_rejected_by_name(api: Api, field: str, value: str, words: str) -> None:
    assert_refused(api, post(api, small_png(), **{field: value}), 422, f"#/{field}", words)


def test_all_invalid_fields_are_reported_together(api: Api) -> None:
    answer = post(api, small_png(), motion_intensity="20", seed="x", colour="red")
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"#/motion_intensity", "#/seed", "#/colour"}


def test_a_duplicate_field_is_rejected(api: Api) -> None:
    answer = httpx.post(f"{api.url}/animate", data={"prompt": ["one", "two"]}, files={"image": small_png()})
    assert_refused(api, answer, 422, "#/prompt", "more than once")


def test_a_file_instead_of_text_is_rejected(api: Api) -> None:
    files = {"image": ("p", small_png()), "prompt": ("prompt.txt", b"waves")}
    assert_refused(api, httpx.post(f"{api.url}/animate", files=files), 422, "#/prompt", "text")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_an_unsupported_content_type_is_rejected(api: Api, kind: str) -> None:
    answer = httpx.post(f"{api.url}/animate", content=b"{}", headers={"content-type": kind})
    assert_refused(api, answer, 415, None, "multipart/form-data")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_broken_multipart_body_is_refused(api: Api, kind: str) -> None:
    answer = httpx.post(f"{api.url}/animate", content=b"--y\r\nnonsense", headers={"content-type": kind})
    assert_refused(api, answer, 400, None, "multipart")


def test_a_body_without_a_declared_length_is_limited_too(api: Api) -> None:
    boundary = b"--b\r\ncontent-disposition: form-data; name=image; filename=p\r\n\r\n"

    def chunks() -> Any:
        yield boundary
        for _ in range(20):
            yield b"\xff" * MEBIBYTE

    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = httpx.post(f"{api.url}/animate", content=chunks(), headers=headers, timeout=60)
    assert_refused(api, answer, 413, "#/image", "bytes")


def test_a_client_that_disconnects_during_its_upload_leaves_nothing_behind(api: Api) -> None:
    place = urlsplit(api.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(
            b"POST /animate HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n"
            b"content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
    assert api.queued() == 0
    assert httpx.get(f"{api.url}/healthz").status_code == 200
