"""Bodies with long, many or deep fields are rejected before they cost time, while others are served."""

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.api.animate import AnimateFields
from service.api.base64_text import decode_base64
from service.api.fields import validate
from service.api.strict_json import parse_object
from service.api.train import TrainFields
from service.contract.problems import ImageCorrupt, ImageTooLarge, InvalidInput
from service.contract.requests import has_too_many_marks
from tests.conftest import Api
from tests.integration.bodies import IMAGE, send, send_fields
from tests.integration.isolation.wire import MEBIBYTE, health_seconds, peak_mebibytes
from tests.integration.refusal import assert_refused
from tests.pictures import encoded, noise, small_png

LIMIT = 256 * 1024
NOTICED_SECONDS = 3
"""For which nobody else may have waited: far more than they do, as test and service share few cores; it was 11.5."""
LONG_MARKS = "a" + "\u0301\u0316" * 1500
"""Short enough to be measured, and quadratic work to normalise."""


@dataclass
class Watch:
    """How long others waited meanwhile."""

    slowest: float = 0
    asked: int = field(default=0)


@contextmanager
def others(api: Api) -> Iterator[Watch]:
    """Another client that keeps sending requests."""
    watch, stop = Watch(), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            watch.slowest = max(watch.slowest, health_seconds(api))
            watch.asked += 1

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield watch
    finally:
        stop.set()
        asking.join()


def json_of(**fields: Any) -> str:
    return json.dumps({"prompt": "waves", "image_base64": IMAGE, **fields}, ensure_ascii=False)


def many(items: str, whole: int = LIMIT - 1000) -> str:
    return ",".join([items] * (whole // (len(items) + 1)))


HEAVY = {
    "events": json_of(webhook_events=["MARK"]).replace('"MARK"', many("0")),
    "events that are objects": json_of(webhook_events=["MARK"]).replace('"MARK"', many('{"a":0}')),
    "metadata": json_of(metadata={"MARK": ""}).replace('"MARK": ""', ",".join(f'"{n} ":0' for n in range(20_000))),
    "metadata that nests": json_of(metadata={"a": "MARK"}).replace('"MARK"', "[" * 400 + "]" * 400),
    "unknown names": json_of(MARK=0).replace('"MARK": 0', ",".join(f'"{n}":0' for n in range(20_000))),
    "prompt": json_of(prompt="x" * (LIMIT - 1000)),
    "prompt of surrogates": json_of(prompt="MARK").replace("MARK", "\\ud800" * 40_000),
    "prompt of marks": json_of(prompt="a" + "\u0301\u0316" * 60_000),
    "short prompt of marks": json_of(prompt=LONG_MARKS),
    "negative prompt of marks": json_of(negative_prompt=LONG_MARKS),
    "metadata of marks": json_of(metadata={f"n{n}": LONG_MARKS[:499] for n in range(50)}),
    "model": json_of(model="m" * 200_000),
    "URL": json_of(webhook_url="http://" + "a" * 200_000),
}


@pytest.mark.parametrize("what", HEAVY)
def test_bodies_that_are_expensive_to_validate_are_rejected_at_once(api: Api, what: str) -> None:
    body = HEAVY[what].encode()
    assert len(body) <= LIMIT, len(body)
    before = peak_mebibytes(api)
    with others(api) as watch:
        for _ in range(3):
            assert_refused(api, send(api, body), 422, None, "")
    assert watch.slowest < NOTICED_SECONDS
    assert peak_mebibytes(api) - before < 60


@pytest.mark.parametrize("path", ["/train", "/webhooks/redeliver", "/uploads/presigned", "/edit"])
@pytest.mark.parametrize("inner", ["", "data", "optimizer", "metadata", "webhook_events", "bytes", "after"])
def test_many_members_at_any_depth_are_rejected_at_once_on_every_route(api: Api, path: str, inner: str) -> None:
    names = ",".join(f'"{n}":0' for n in range(20_000))
    body = f'{{"{inner}":{{{names}}}}}' if inner else f"{{{names}}}"
    with others(api) as watch:
        answer = send(api, body, path)
    assert_refused(api, answer, 422, None, "")
    assert len(answer.content) < 50_000
    assert watch.slowest < NOTICED_SECONDS


@pytest.mark.parametrize("name", ["metadata", "webhook_events"])
@pytest.mark.parametrize("item", ["0", '{"a":0}', '["a"]'])
def test_long_arrays_in_a_form_are_rejected_at_once(api: Api, name: str, item: str) -> None:
    for size, status in ((LIMIT - 1000, 422), (LIMIT + 1000, 422), (900_000, 422), (3 * MEBIBYTE, 400)):
        data = {"prompt": "waves", name: f"[{many(item, size)}]"}
        with others(api) as watch:
            answer = httpx.post(f"{api.url}/animate", data=data, files={"image": small_png()}, timeout=60)
        assert_refused(api, answer, status, None, "")
        assert watch.slowest < NOTICED_SECONDS


def test_the_text_fields_of_a_form_have_a_limit_of_their_own(api: Api) -> None:
    data = {"prompt": "waves", **{f"n{n}": "x" * 900_000 for n in range(10)}}
    answer = httpx.post(f"{api.url}/animate", data=data, files={"image": small_png()}, timeout=60)
    assert_refused(api, answer, 413, None, "characters")


@pytest.mark.parametrize("what", ["prompt", "many names", "array", "no picture", "two pictures", "emoji"])
def test_the_size_of_a_body_without_its_picture_is_limited(api: Api, what: str) -> None:
    bodies = {
        "prompt": json_of(prompt="x" * (15 * MEBIBYTE)),
        "many names": json_of(MARK=0).replace('"MARK": 0', ",".join(f'"{n}":0' for n in range(1_000_000))),
        "array": json_of(webhook_events=["MARK"]).replace('"MARK"', many("0", 15 * MEBIBYTE)),
        "no picture": '{"image_base64" "' + "A" * (15 * MEBIBYTE) + '"}',
        "two pictures": f'{{"image_base64":"{"A" * (8 * MEBIBYTE)}","image_base64":"{"A" * (8 * MEBIBYTE)}"}}',
        "emoji": json_of(prompt="🌊" * (3 * MEBIBYTE)),
    }
    before = peak_mebibytes(api)
    with others(api) as watch:
        assert_refused(api, send(api, bodies[what].encode()), 413, None, "bytes")
    assert watch.slowest < NOTICED_SECONDS
    assert peak_mebibytes(api) - before < 120


@pytest.mark.parametrize("escape", ["/", "\\/", "\\u002f"])
@pytest.mark.parametrize("plus", ["+", "\\u002B", "\\u002b"])
def test_a_large_picture_is_decoded_whatever_its_json_escapes(api: Api, escape: str, plus: str) -> None:
    picture = encoded(noise(700, 500))
    assert len(picture) > MEBIBYTE
    text = base64.b64encode(picture).decode().replace("/", escape).replace("+", plus)
    for body in (
        f'{{"prompt": "waves \\"image_base64\\": {{", "image_base64" : "{text}", "seed": 7}}',
        f'{{"image_base64":"{text}","prompt":"waves"}}',
    ):
        job = send(api, body)
        assert job.status_code == 202, job.text
        stored = api.storage_folder / "data" / "inputs" / job.json()["id"] / "image.png"
        given, kept = (np.asarray(Image.open(source).convert("RGB")) for source in (io.BytesIO(picture), stored))
        assert np.array_equal(given, kept)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ('{{"prompt": "waves", "metadata": {{"image_base64": "{large}"}}}}', 400, "outermost"),
        ('{{"prompt": "waves", "image_base64": "{large}!"}}', 422, "INPUT.IMAGE.CORRUPT"),
        ('{{"prompt": "waves", "image_base64": "{large}\\n{large}"}}', 422, "INPUT.IMAGE.CORRUPT"),
        ('{{"prompt": "waves", "image_base64": "{large}==={large}"}}', 422, "INPUT.IMAGE.CORRUPT"),
        ('{{"prompt": "waves", "image_base64": "data:image/png;base64,{large}"}}', 422, "data:"),
        ('{{"prompt": "waves", "image_base64": "{large}', 413, "bytes"),
        ('{{"prompt": "waves", "image_base64": "{large}"', 400, "INPUT.BODY.MALFORMED"),
        ('{{"prompt": "waves", "image_base64": "{large}", "upload_id": "x"}}', 422, "exactly one"),
        ('{{"prompt": "\\\\"image_base64": "{large}"}}', 413, "bytes"),
    ],
    ids=range(9),
)
def test_a_large_invalid_picture_is_rejected(api: Api, body: str, status: int, words: str) -> None:
    large = base64.b64encode(bytes(range(256)) * 1200).decode().rstrip("=")
    assert_refused(api, send(api, body.format(large=large)), status, None, words)


def test_reading_a_body_of_many_mebibytes_delays_no_other_client(api: Api) -> None:
    text = base64.b64encode(b"\xff\xd8\xff" + bytes(16 * MEBIBYTE - 100)).decode()
    with others(api) as watch:
        for key in range(3):
            answer = httpx.post(
                f"{api.url}/animate",
                content=json.dumps({"prompt": "waves", "image_base64": text}),
                headers={"content-type": "application/json", "idempotency-key": f"key-{key}"},
                timeout=60,
            )
            assert answer.status_code == 422, answer.text
    assert watch.slowest < NOTICED_SECONDS


NAMES = ",".join(f'"{n}":0' for n in range(20_000))
DEEP = {
    "training": f'{{"data":{{{NAMES}}}}}',
    "sizes of a training": f'{{"data":{{"source":"datasets/w","more_sizes":[{many("{}")}]}}}}',
    "names of an adapter": json_of(adapters=["MARK"]).replace('"MARK"', f"{{{NAMES}}}"),
}


@pytest.mark.parametrize("what", ["events", "metadata", "unknown names", *DEEP])
def test_rejecting_fields_takes_less_than_a_tenth_of_a_second(what: str) -> None:
    data = {**HEAVY, **DEEP}[what].encode()
    model = TrainFields if "training" in what else AnimateFields
    took = []
    for _ in range(5):
        began = time.thread_time()
        with pytest.raises(InvalidInput):
            validate(model, parse_object(data, LIMIT), typed=True)
        took.append(time.thread_time() - began)
    assert min(took) < 0.1


@pytest.mark.parametrize("depth", [500, 900, 940])
def test_unknown_fields_of_any_depth_are_rejected_with_a_key_too(api: Api, depth: int) -> None:
    job = send_fields(api).json()["id"]
    for path in ("/animate", "/train", f"/jobs/{job}/rerun"):
        answer = httpx.post(
            api.url + path,
            content=f'{{"x":{"[" * depth}{"]" * depth}}}',
            headers={"content-type": "application/json", "idempotency-key": f"{depth}{path}"},
        )
        assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("text", ["AAAA", "AA==", "AAA=", "A" * 600_000, ("A" * 63 + "\\/") * 10_000 + "AAAA"])
def test_base64_decodes_alike_in_chunks_and_as_a_whole(text: str) -> None:
    plain = text.replace("\\/", "/")
    plain += "A" * (-len(plain) % 4)
    padded = text + plain[len(text.replace("\\/", "/")) :]
    assert decode_base64(memoryview(padded.encode()), MEBIBYTE * 4) == base64.b64decode(plain, validate=True)


@pytest.mark.parametrize("text", ["A", "AAAAA", "AA=A", "AA==AAAA", "====", "\\u0041AAA", "AAA\\", "AA A", "é"])
def test_invalid_base64_is_rejected_in_any_chunk(text: str) -> None:
    with pytest.raises(ImageCorrupt):
        decode_base64(memoryview(text.encode()), 100)
    with pytest.raises(ImageTooLarge):
        decode_base64(memoryview(b"A" * 400), 100)


@pytest.mark.parametrize(("marks", "refused"), [(30, False), (31, True)])
def test_combining_marks_are_counted_per_character(marks: int, refused: bool) -> None:
    assert has_too_many_marks("a" + "\u0301" * marks) is refused
    assert not has_too_many_marks(("a" + "\u0301" * 30) * 100)


def test_a_text_that_normalization_makes_short_enough_is_accepted(api: Api) -> None:
    answer = send_fields(api, prompt="e\u0301" * 1000)
    assert (answer.status_code, answer.json()["request"]["prompt"]) == (202, "é" * 1000)
