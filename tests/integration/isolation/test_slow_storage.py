"""A storage that responds slowly delays those who need it, and by them no other tenant."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.conftest import Api, api_running, s3_variables
from tests.integration.isolation.parts import at_once, key_of, own_redis, timed

SECONDS = 2
MANY = 120
"""Three times as many as there are threads for such requests."""
EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


class SlowBucket(BaseHTTPRequestHandler):
    """An empty bucket whose lists take seconds."""

    def do_GET(self) -> None:
        time.sleep(SECONDS)
        self.send_response(200)
        self.send_header("content-length", str(len(EMPTY)))
        self.end_headers()
        self.wfile.write(EMPTY)

    def log_message(self, *arguments: object) -> None:
        return


class Server(ThreadingHTTPServer):
    request_queue_size = 256


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Api]:
    with own_redis(tmp_path / "redis") as redis, Server(("127.0.0.1", 0), SlowBucket) as bucket:
        threading.Thread(target=bucket.serve_forever).start()
        settings = {"CINEMO_AUTH": "keys", **s3_variables(f"http://127.0.0.1:{bucket.server_port}")}
        with api_running(tmp_path, redis.port, settings) as api:
            yield api
        bucket.shutdown()


@contextmanager
def asking(api: Api, path: str, key: dict[str, str]) -> Iterator[None]:
    """Many requests of a tenant at once, which have all been sent."""

    def ask(number: int) -> None:
        assert httpx.get(api.url + path, headers=key, timeout=60).status_code in (200, 404, 503)

    thread = threading.Thread(target=at_once, args=(MANY, ask))
    thread.start()
    time.sleep(SECONDS / 2)
    yield
    thread.join()


@pytest.mark.parametrize("path", ["/models", "/models/waves", "/v1/models"])
def test_a_tenant_that_waits_for_the_storage_leaves_threads_to_the_others(front: Api, path: str) -> None:
    attacker, other = key_of(front.redis, "attacker"), key_of(front.redis, "other")
    with asking(front, path, attacker):
        for _ in range(5):
            answer, seconds = timed(lambda: httpx.post(f"{front.url}/jobs/job_1/cancel", headers=other, timeout=60))
            assert answer.status_code == 404
            assert seconds < SECONDS / 2
        assert timed(lambda: httpx.get(f"{front.url}/metrics", timeout=60))[1] < SECONDS / 2
