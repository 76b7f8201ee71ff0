"""Pictures fetched from a URL; which URLs may be called at all is tested in test_outbound."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from service.contract.settings import MEBIBYTE
from tests.conftest import Api, api_running
from tests.http_servers import Server
from tests.integration.refusal import assert_refused


@dataclass
class Photos:
    """A server with one photo and some traps; `asked` are the requested paths."""

    url: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def photos(photo: bytes) -> Iterator[Photos]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            bodies = {"/photo": photo, "/page": b"<html></html>", "/huge": b"\xff\xd8\xff" + b"x" * (17 * MEBIBYTE)}
            self.send_response(302 if self.path == "/moved" else 200 if self.path in bodies else 404)
            self.send_header("content-type", "image/jpeg")
            self.send_header("location", "/photo")
            self.end_headers()
            self.wfile.write(bodies.get(self.path, b""))

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    served = Photos(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield served
    server.shutdown()


@pytest.fixture(scope="module")
def fetching_process(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that may fetch from this machine."""
    changes = {"CINEMO_OUTBOUND_ALLOWED_NETWORKS": '["127.0.0.0/8"]'}
    with api_running(tmp_path_factory.mktemp("fetching"), redis_port, changes) as api:
        yield api


@pytest.fixture
def fetching(fetching_process: Api) -> Api:
    fetching_process.redis.flushall()
    return fetching_process


def post(api: Api, url: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{api.url}/animate", json={"prompt": "waves", "image_url": url}, headers=headers, timeout=60)


def test_a_photo_is_fetched_once_and_a_retry_is_recognized_by_its_url(
    fetching: Api, photos: Photos, photo: bytes
) -> None:
    first, again = (post(fetching, f"{photos.url}/photo", **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.status_code == 202, first.text
    assert first.json()["id"] == again.json()["id"]
    assert photos.asked == ["/photo"]
    assert post(fetching, f"{photos.url}/photo?other", **{"Idempotency-Key": "k"}).status_code == 422
    sent = httpx.post(f"{fetching.url}/animate", data={"prompt": "waves"}, files={"image": photo})
    inputs = [fetching.storage_folder / "data/inputs" / each.json()["id"] / "image.jpg" for each in (first, sent)]
    assert inputs[0].read_bytes() == inputs[1].read_bytes()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/gone", 422, "status 404"),
        ("/moved", 422, "status 302"),
        ("/page", 415, "going by its first bytes"),
        ("/huge", 413, "bytes"),
    ],
)
def test_a_url_without_a_photo_is_rejected(fetching: Api, photos: Photos, path: str, status: int, words: str) -> None:
    answer = post(fetching, photos.url + path)
    problem = answer.json()
    assert (answer.status_code, [each["pointer"] for each in problem["errors"]]) == (status, ["#/image_url"])
    assert words in problem["detail"]
    assert fetching.queued() == 0
    assert photos.asked == [path]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/photo.jpg",
        "http://[::ffff:169.254.169.254]/latest/meta-data",
        "http://0x7f000001/photo.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "not a url",
        "",
    ],
)
def test_forbidden_urls_are_rejected(api: Api, url: str) -> None:
    assert_refused(api, post(api, url), 422, "#/image_url", "INPUT.URL.FORBIDDEN")


def test_a_reference_in_openais_dialect_is_fetched_like_any_other_url(fetching: Api, photos: Photos) -> None:
    def refer(url: str) -> httpx.Response:
        fields = {"prompt": (None, "waves"), "input_reference[image_url]": (None, url)}
        return httpx.post(f"{fetching.url}/v1/videos", files=fields, timeout=60)

    assert refer(f"{photos.url}/photo").status_code == 200
    for wrong in (f"{photos.url}/page", f"{photos.url}/moved", "http://169.254.169.254/", "ftp://127.0.0.1/photo"):
        answer = refer(wrong)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_reference"), wrong
    assert photos.asked == ["/photo", "/page", "/moved"]
