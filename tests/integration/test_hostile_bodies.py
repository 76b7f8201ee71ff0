"""Bodies that mean harm, over real HTTP: refused by name, nothing queued, nothing kept, and the service still up."""

import asyncio
import base64
import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request
from starlette.types import Message

from service.api.bodies import Incoming, read_file
from service.api.room import Place, Room
from service.errors import ServiceBusy
from service.settings import MEBIBYTE, Settings
from tests.conftest import Api, api_running
from tests.integration.refusal import assert_refused
from tests.pictures import encoded, noise, png_header, small_png
from tests.processes import wait_until

IMAGE = base64.b64encode(small_png()).decode()


def send(api: Api, body: str | bytes, path: str = "/animate", kind: str = "application/json") -> httpx.Response:
    return httpx.post(api.url + path, content=body, headers={"content-type": kind}, timeout=60)


def send_fields(api: Api, **fields: Any) -> httpx.Response:
    return send(api, json.dumps({"prompt": "waves", "image_base64": IMAGE, **fields}))


@pytest.mark.parametrize("path", ["/animate", "/edit", "/train", "/uploads/presigned"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"prompt": "a", "prompt": "b"}', "stands twice"),
        ('{"metadata": {"a": "1", "a": "2"}}', "stands twice"),
        ('{"seed": NaN}', "NaN"),
        ('{"guidance_scale": -Infinity}', "Infinity"),
        ('{"a": ' * 30_000, "too deeply"),
        ("[" * 200_000, "too deeply"),
        ('{"seed": ' + "9" * 5000 + "}", "no JSON"),
        ('{"prompt": "a",}', "no JSON"),
        ('{"prompt": "a"} {}', "no JSON"),
        ('["prompt"]', "object"),
        ('"prompt"', "object"),
        (b'\xff\xfe{"prompt": 1}', "no JSON"),
        (b'\xef\xbb\xbf{"prompt": 1}', "no JSON"),
    ],
    ids=range(13),
)
def test_what_is_no_strict_json_is_refused(api: Api, path: str, body: str | bytes, words: str) -> None:
    assert_refused(api, send(api, body, path), 400, None, words)


@pytest.mark.parametrize("path", ["/animate", "/train", "/uploads/presigned", "/webhooks/redeliver"])
def test_a_body_of_json_is_counted(api: Api, path: str) -> None:
    huge = b'{"prompt": "' + b"x" * (24 * MEBIBYTE) + b'"}'
    assert_refused(api, send(api, huge, path), 413, None, "bytes")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("seed", True, "integer"),
        ("seed", "1", "integer"),
        ("seed", 1.5, "integer"),
        ("seed", None, "integer"),
        ("guidance_scale", False, "number"),
        ("guidance_scale", 10**400, "number"),
        ("noise_refinement", 1, "boolean"),
        ("motion_intensity", [3], "integer"),
        ("motion_bucket_id", 1001, "1000"),
        ("noise_cutoff", 1.1, "1"),
        ("noise_level", 1000, "999"),
        ("sampler", "euler", "ddim"),
        ("cache_interval", 0, "1"),
        ("frames", 7, "8"),
        ("frames", 33, "32"),
        ("clips", 17, "16"),
        ("fps", 0, "1"),
        ("fps", 61, "60"),
        ("format", "exe", "mp4"),
        ("format", "../mp4", "mp4"),
        ("fit", "stretch", "crop"),
        ("model", "m" * 300, "200"),
        ("model", "\ud800", "unicode"),
        ("model", "../../etc", "no model"),
        ("prompt", "\ud83d", "surrogate"),
        ("prompt", "a\0b", "NUL"),
        ("prompt", "abc\u202egnp.exe", "bidirectional"),
        ("prompt", {"a": 1}, "string"),
        ("priority", 101, "100"),
        ("priority", True, "integer"),
        ("reuse", "yes", "boolean"),
        ("webhook_events", ["job.exploded"], "job.succeeded"),
        ("webhook_events", "job.succeeded", "tuple"),
        ("webhook_url", "ftp://example.com", "http"),
        ("webhook_url", "http://169.254.169.254/latest", "may not be called"),
        ("webhook_url", "http://example.com/\r\nX-Evil: 1", "pattern"),
        ("image_url", "http://169.254.169.254/latest", "required"),
        ("colour", "red", "not permitted"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(api: Api, field: str, value: Any, words: str) -> None:
    pointer = f"#/{field}/0" if isinstance(value, list) and field == "webhook_events" else f"#/{field}"
    assert_refused(api, send_fields(api, **{field: value}), 422, pointer, words)


@pytest.mark.parametrize(
    ("metadata", "pointer", "words"),
    [
        ({"a\r\nX-Evil": "1"}, "#/metadata/a%0D%0AX-Evil/[key]", "pattern"),
        ({"a/b~c": "1"}, "#/metadata/a~1b~0c/[key]", "pattern"),
        ({"\ud800": "1"}, "#/metadata/%EF%BF%BD%EF%BF%BD%EF%BF%BD/[key]", "unicode"),
        ({"a": 1}, "#/metadata/a", "string"),
        ({"a": "x" * 501}, "#/metadata/a", "500"),
        ({"a": "\u2066"}, "#/metadata/a", "bidirectional"),
        ({f"name-{n}": "" for n in range(51)}, "#/metadata", "50"),
        ({"a": {"b": "c"}}, "#/metadata/a", "string"),
    ],
)
def test_metadata_that_is_none_is_refused(api: Api, metadata: dict[str, Any], pointer: str, words: str) -> None:
    answer = send_fields(api, metadata=metadata)
    found = [error["pointer"].replace("%5B", "[").replace("%5D", "]") for error in answer.json()["errors"]]
    assert pointer in found
    assert_refused(api, answer, 422, None, words)
    form = {"prompt": "waves", "metadata": json.dumps(metadata)}
    assert_refused(api, httpx.post(f"{api.url}/animate", data=form, files={"image": small_png()}), 422, None, words)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": "1", "a": "2"}', "[" * 50_000])
def test_metadata_of_a_form_is_json_or_refused(api: Api, text: str) -> None:
    form = {"prompt": "waves", "metadata": text}
    answer = httpx.post(f"{api.url}/animate", data=form, files={"image": small_png()})
    assert_refused(api, answer, 422, "#/metadata", "")


def test_a_thousand_unknown_names_are_answered_in_few_words(api: Api) -> None:
    answer = send_fields(api, **{f"{n}-{'x' * 100}": 1 for n in range(1000)})
    assert_refused(api, answer, 422, None, "not permitted")
    assert len(answer.content) < 50_000


def test_a_name_that_no_text_has_is_refused(api: Api) -> None:
    assert_refused(api, send_fields(api, **{"\ud800": 1}), 422, "#", "unicode")


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({"frames": 32, "clips": 16}, "#/frames", "128 frames"),
        ({"width": 2048, "height": 2048}, "#/width", "1,048,576 pixels"),
        ({"width": 64}, "#/height", "or neither"),
        ({"height": 64}, "#/height", "or neither"),
        ({"width": 100, "height": 64}, "#/width", "multiple of 8"),
        ({"width": 2056, "height": 64}, "#/width", "2048"),
    ],
)
def test_more_than_is_allowed_is_refused(api: Api, fields: dict[str, Any], pointer: str, words: str) -> None:
    assert_refused(api, send_fields(api, **fields), 422, pointer, words)


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("!!!!", 422, "no base64"),
        (IMAGE[:-1], 422, "no base64"),
        (IMAGE[:40] + "\n" + IMAGE[40:], 422, "no base64"),
        ("\u0661" * 8, 422, "no base64"),
        (f"data:image/png;base64,{IMAGE}", 422, "alone"),
        ("", 422, "0 bytes"),
        (base64.b64encode(b"<svg/>").decode(), 415, "JPEG, PNG, WebP"),
        (base64.b64encode(png_header(30_000, 30_000)).decode(), 413, "pixels"),
        (base64.b64encode(b"\xff\xd8\xff" + b"x" * (16 * MEBIBYTE)).decode(), 413, "bytes"),
    ],
    ids=["garbage", "cut off", "line break", "other digits", "data URL", "empty", "svg", "bomb", "too long"],
)
def test_base64_that_holds_no_picture_is_refused(api: Api, text: str, status: int, words: str) -> None:
    assert_refused(api, send_fields(api, image_base64=text), status, "#/image_base64", words)


@pytest.mark.parametrize("value", [1, None, True, ["a"], {"a": "b"}])
@pytest.mark.parametrize("field", ["image_base64", "upload_id", "image_url"])
def test_a_picture_that_is_no_text_is_refused(api: Api, field: str, value: Any) -> None:
    answer = send(api, json.dumps({"prompt": "waves", field: value}))
    assert_refused(api, answer, 422, f"#/{field}", "text")


@pytest.mark.parametrize("upload_id", ["upl_" + "0" * 32, "upl_019abf3c5d7e7f0a9d3b2c1e4f5a6b7c", "../x", "", "\ud800"])
def test_an_unknown_upload_is_refused(api: Api, upload_id: str) -> None:
    answer = send(api, json.dumps({"prompt": "waves", "upload_id": upload_id}))
    assert_refused(api, answer, 422, "#/upload_id", "no such upload")


def test_a_picture_that_inflates_beyond_the_limit_is_refused_by_its_header(api: Api) -> None:
    bomb = encoded(Image.new("1", (20_000, 20_000)), "PNG", optimize=False)
    assert len(bomb) < MEBIBYTE
    answer = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": bomb}, timeout=60)
    assert_refused(api, answer, 413, "#/image", "pixels")


@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\x03\x04evil.exe", b"\xff\xd9#!/bin/sh\n"])
def test_of_a_polyglot_file_the_pixels_alone_are_stored(api: Api, tail: bytes) -> None:
    exif = Image.Exif()
    exif[0x010E] = "<script>alert(2)</script>"
    polyglot = encoded(noise(40, 30), "JPEG", exif=exif, comment=b"<?php evil(); ?>") + tail
    files = {"image": ("../../../tmp/evil.php\0.html", polyglot, "text/html")}
    job = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files=files).json()
    (path,) = [path for path in (api.storage_folder / "data" / "inputs").rglob("*") if path.is_file()]
    assert path.relative_to(api.storage_folder / "data").as_posix() == f"inputs/{job['id']}/image.jpg"
    stored = path.read_bytes()
    assert not any(word in stored for word in (tail, b"script", b"php", b"evil"))
    given, kept = (np.asarray(Image.open(source)) for source in (io.BytesIO(polyglot), path))
    assert np.abs(given.astype(int) - kept).mean() < 4


@pytest.fixture(scope="module")
def short_api(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that gives a body half a second to come, and has room for one at a time."""
    changes = {"CINEMO_MAX_BODY_SECONDS": "0.5", "CINEMO_MAX_BODIES_BYTES": "1"}
    with api_running(tmp_path_factory.mktemp("short"), redis_port, changes) as api:
        api.redis.flushall()
        yield api


@contextmanager
def connected(api: Api, path: str, kind: str, length: int) -> Iterator[socket.socket]:
    """A connection on which the head of a request has been sent."""
    place = urlsplit(api.url)
    assert place.hostname is not None
    with socket.create_connection((place.hostname, place.port or 80), timeout=30) as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        yield connection


def answer_of(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and problem, read until the server hangs up."""
    received = b""
    # It hangs up with a reset where bytes come that it has not read.
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/animate", "multipart/form-data; boundary=b"),
        ("/animate", "application/json"),
        ("/edit", "multipart/form-data; boundary=b"),
        ("/train", "application/json"),
        ("/uploads", "image/png"),
    ],
)
def test_a_client_that_drips_its_body_is_cut_off(short_api: Api, path: str, kind: str) -> None:
    with connected(short_api, path, kind, 1_000_000) as connection:
        if "boundary" in kind:
            connection.sendall(b"--b\r\ncontent-disposition: form-data; name=image; filename=p\r\n\r\n")
        stop = threading.Event()

        def drip() -> None:
            with suppress(OSError):
                while not stop.wait(0.05):
                    connection.sendall(b"-")

        dripping = threading.Thread(target=drip)
        dripping.start()
        status, problem = answer_of(connection)
        stop.set()
        dripping.join()
    assert (status, problem["code"], problem["retryable"]) == (408, "INPUT.BODY.TOO_SLOW", True)
    assert short_api.queued() == 0
    assert httpx.get(f"{short_api.url}/healthz").status_code == 200


def test_a_body_for_which_there_is_no_room_is_refused_until_another_has_left(short_api: Api) -> None:
    whole = json.dumps({"prompt": "waves", "image_base64": IMAGE})
    answers: list[httpx.Response] = []

    def refused() -> bool:
        with connected(short_api, "/uploads", "image/png", 1_000_000):
            answers.append(send(short_api, whole))
        return answers[-1].status_code == 503

    wait_until(refused, 60, "a request beside another")
    problem = answers[-1].json()
    assert (problem["code"], problem["retryable"], answers[-1].headers["retry-after"]) == ("SERVICE.BUSY", True, "5")
    wait_until(lambda: send(short_api, whole).status_code == 202, 60, "a request alone")
    short_api.redis.flushall()


def test_a_client_that_is_refused_for_want_of_room_is_let_send_its_body_and_sees_why() -> None:
    sent = [b"x" * 100_000] * 5

    async def receive() -> Message:
        return {"type": "http.request", "body": sent.pop(), "more_body": bool(sent)}

    room = Room(1_000_000, taken=999_999)
    request = Request({"type": "http", "method": "POST", "headers": [(b"content-length", b"500000")]}, receive)
    settings = Settings(storage_url="s3://videos")
    with pytest.raises(ServiceBusy):
        asyncio.run(read_file(Incoming(request, settings, Place(room)), 1_000_000))
    assert (sent, room.taken) == ([], 999_999)


def test_a_client_for_which_there_is_no_room_is_told_so_however_slowly_it_sends() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nothing ever comes")

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-length", b"9")]}, receive)
    settings = Settings(storage_url="s3://videos", max_body_seconds=0.05)
    with pytest.raises(ServiceBusy):
        asyncio.run(read_file(Incoming(request, settings, Place(Room(1, taken=1))), 1_000))


@pytest.mark.parametrize(("told", "takes"), [(b"500", 500), (b"5000", 1000), (None, 1000)])
def test_a_body_takes_what_its_client_says_and_no_more_than_is_allowed(told: bytes | None, takes: int) -> None:
    headers = [(b"content-length", told)] if told else [(b"transfer-encoding", b"chunked")]
    request = Request({"type": "http", "headers": headers})
    assert Incoming(request, Settings(storage_url="s3://videos"), Place(Room(1))).most_bytes(1000) == takes


def test_a_body_shorter_than_it_says_is_waited_for_no_longer_than_that(short_api: Api) -> None:
    whole = json.dumps({"prompt": "waves", "image_base64": IMAGE}).encode()
    with connected(short_api, "/animate", "application/json", len(whole) + 10) as connection:
        connection.sendall(whole)
        assert answer_of(connection)[0] == 408
    assert short_api.queued() == 0


def test_of_a_body_longer_than_it_says_no_more_than_that_is_read(api: Api) -> None:
    whole = json.dumps({"prompt": "waves", "image_base64": IMAGE}).encode()
    with connected(api, "/animate", "application/json", len(whole) - 10) as connection:
        connection.sendall(whole)
        connection.shutdown(socket.SHUT_WR)
        received = connection.recv(65536)
    assert received.split()[1] == b"400"
    assert api.queued() == 0


@pytest.mark.parametrize("kind", ["image/png", "text/html", "application/x-sh"])
def test_what_a_file_says_of_itself_counts_for_nothing(api: Api, kind: str) -> None:
    lie = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": ("a.png", b"<html>", kind)})
    assert_refused(api, lie, 415, "#/image", "going by its first bytes")
    true = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": ("a.sh", small_png(), kind)})
    assert true.status_code == 202


def test_json_that_says_it_is_a_form_is_refused_and_a_form_that_says_it_is_json(api: Api) -> None:
    text = json.dumps({"prompt": "waves", "image_base64": IMAGE})
    assert_refused(api, send(api, text, kind="multipart/form-data; boundary=b"), 400, None, "multipart")
    form = b'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nwaves\r\n--b--\r\n'
    assert_refused(api, send(api, form), 400, None, "no JSON")
