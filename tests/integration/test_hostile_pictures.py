"""Malicious pictures over real HTTP: rejected by field, or harmless because only their pixels are used."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.contract.settings import MEBIBYTE
from tests.conftest import Api
from tests.integration.bodies import IMAGE, send, send_fields
from tests.integration.refusal import assert_refused
from tests.pictures import encoded, noise, png_header, small_png


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("!!!!", 422, "INPUT.IMAGE.CORRUPT"),
        (IMAGE[:-1], 422, "INPUT.IMAGE.CORRUPT"),
        (IMAGE[:40] + "\n" + IMAGE[40:], 422, "INPUT.IMAGE.CORRUPT"),
        ("\u0661" * 8, 422, "INPUT.IMAGE.CORRUPT"),
        (f"data:image/png;base64,{IMAGE}", 422, "data:"),
        ("", 422, "0 bytes"),
        (base64.b64encode(b"<svg/>").decode(), 415, "JPEG, PNG, WebP"),
        (base64.b64encode(png_header(30_000, 30_000)).decode(), 413, "pixels"),
        (base64.b64encode(b"\xff\xd8\xff" + b"x" * (16 * MEBIBYTE)).decode(), 413, "bytes"),
    ],
    ids=["garbage", "cut off", "line break", "other digits", "data URL", "empty", "svg", "bomb", "too long"],
)
def test_base64_of_something_other_than_a_picture_is_rejected(api: Api, text: str, status: int, words: str) -> None:
    assert_refused(api, send_fields(api, image_base64=text), status, "#/image_base64", words)


@pytest.mark.parametrize("value", [1, True, ["a"], {"a": "b"}])
@pytest.mark.parametrize("field", ["image_base64", "upload_id", "image_url"])
def test_image_base64_that_is_not_text_is_rejected(api: Api, field: str, value: Any) -> None:
    answer = send(api, json.dumps({"prompt": "waves", field: value}))
    assert_refused(api, answer, 422, f"#/{field}", "text")


@pytest.mark.parametrize("upload_id", ["upl_" + "0" * 32, "upl_019abf3c5d7e7f0a9d3b2c1e4f5a6b7c", "../x", "", "\ud800"])
def test_an_unknown_upload_is_refused(api: Api, upload_id: str) -> None:
    answer = send(api, json.dumps({"prompt": "waves", "upload_id": upload_id}))
    assert_refused(api, answer, 422, "#/upload_id", "INPUT.UPLOAD.UNKNOWN")


def test_a_decompression_bomb_is_rejected_by_its_header(api: Api) -> None:
    bomb = encoded(Image.new("1", (20_000, 20_000)), "PNG", optimize=False)
    assert len(bomb) < MEBIBYTE
    answer = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": bomb}, timeout=60)
    assert_refused(api, answer, 413, "#/image", "pixels")


@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\x03\x04evil.exe", b"\xff\xd9#!/bin/sh\n"])
def test_only_the_pixels_of_a_polyglot_file_are_stored(api: Api, tail: bytes) -> None:
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


@pytest.mark.parametrize("kind", ["image/png", "text/html", "application/x-sh"])
def test_a_files_name_and_declared_type_are_ignored(api: Api, kind: str) -> None:
    lie = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": ("a.png", b"<html>", kind)})
    assert_refused(api, lie, 415, "#/image", "going by its first bytes")
    true = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": ("a.sh", small_png(), kind)})
    assert true.status_code == 202
