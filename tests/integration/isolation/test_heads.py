"""Request heads that are endless or too slow are rejected, while others are served."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from service.storage import LocalStore
from tests.conftest import Api, api_running
from tests.integration.isolation.wire import (
    MEBIBYTE,
    answer_of,
    answers_of,
    connected,
    health_seconds,
    hung_up,
    peak_mebibytes,
    pour,
)
from tests.processes import wait_until

GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
CHUNKED = b"POST /animate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def quick_api(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that waits half a second for a head."""
    changes = {"CINEMO_MAX_HEAD_SECONDS": "0.5"}
    with api_running(tmp_path_factory.mktemp("quick"), redis_port, changes) as api:
        yield api


ENDLESS = {
    "headers": (GET, b"a: b\r\n" * 10_000),
    "one value": (GET + b"a: ", b"b" * 65536),
    "one name": (GET, b"a" * 65536),
    "folded lines": (GET + b"a: b", b"\r\n c" * 10_000),
    "one address": (b"GET /", b"a" * 65536),
    "one query": (b"GET /healthz?", b"a=b&" * 10_000),
    "method": (b"", b"G" * 65536),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n" * 10_000),
    "one trailer": (CHUNKED + b"2\r\n{}\r\n0\r\na: ", b"b" * 65536),
    "extension of a chunk": (CHUNKED + b"2;a=", b"b" * 65536),
    "chunks of one byte": (CHUNKED + b"1;" + b"x" * 60 + b"\r\n{\r\n", (b"1;" + b"x" * 60 + b"\r\n \r\n") * 1000),
    "second request": (GET + b"\r\n" + GET, b"a: b\r\n" * 10_000),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_endless_heads_are_rejected_at_a_limit_and_memory_stays_flat(api: Api, what: str) -> None:
    start, block = ENDLESS[what]
    before = peak_mebibytes(api)
    with connected(api, start) as connection:
        sent = pour(connection, block, 200 * MEBIBYTE)
        status, headers, problem = answer_of(connection)
    assert sent < 20 * MEBIBYTE, "what is sent after the refusal lies in the kernel's buffers at most"
    # Where the kernel has thrown the answer away with what was not read any more, there is none to be seen.
    if status and what == "second request":
        assert status == 200, "the first one is answered"
    elif status:
        assert status in (400, 431), problem
        assert headers["content-type"] == "application/problem+json"
        assert (headers["connection"], headers["x-content-type-options"]) == ("close", "nosniff")
    assert peak_mebibytes(api) - before < 30
    assert health_seconds(api) < 1


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (GET + b"a: " + b"b" * 33_000 + b"\r\n\r\n", 431, "REQUEST.HEAD_TOO_LARGE"),
        (GET + b"a: b\r\n" * 101 + b"\r\n", 431, "REQUEST.HEAD_TOO_LARGE"),
        (b"GET /" + b"a" * 33_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431, "REQUEST.HEAD_TOO_LARGE"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "REQUEST.MALFORMED"),
        (b"GET / HTTP/1.1\r\nhost x\r\n\r\n", 400, "REQUEST.MALFORMED"),
        (GET + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400, "REQUEST.MALFORMED"),
        (b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n", 400, "REQUEST.MALFORMED"),
    ],
    ids=["value", "fields", "address", "TLS", "no colon", "two lengths", "no ASCII"],
)
def test_a_malformed_head_gets_a_problem_response(api: Api, head: bytes, status: int, code: str) -> None:
    with connected(api, head) as connection:
        reported, headers, problem = answer_of(connection)
    assert (reported, problem["code"], problem["status"]) == (status, code, status)
    assert problem["request_id"] == headers["x-request-id"]
    assert (headers["content-type"], headers["x-content-type-options"]) == ("application/problem+json", "nosniff")


@pytest.mark.parametrize(
    ("behind", "answers"),
    [
        (GET + b"a: " + b"b" * 33_000 + b"\r\n\r\n", [200, 431]),
        (b"\x16\x03\x01", [200, 400]),
        ((GET + b"\r\n") * 50, [200] * 17 + [400]),
    ],
    ids=["too large", "TLS", "too many"],
)
def test_an_invalid_pipelined_request_is_rejected_after_the_earlier_responses(
    api: Api, photo: bytes, behind: bytes, answers: list[int]
) -> None:
    job = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": photo}).json()
    first = f"GET /jobs/{job['id']}?wait=1 HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    with connected(api, first + behind) as connection:
        assert answers_of(connection) == answers


def test_a_head_as_large_as_browsers_send_is_accepted(api: Api) -> None:
    headers = {f"x-{number}": "v" * 280 for number in range(80)} | {"cookie": "c" * 4000}
    assert httpx.get(f"{api.url}/healthz", headers=headers).status_code == 200


def drip(connection: socket.socket, piece: bytes, stop: threading.Event) -> None:
    with suppress(OSError):
        while not stop.wait(0.05):
            connection.sendall(piece)


DRIPPING = {
    "nothing": (b"", b""),
    "half a head": (GET, b""),
    "headers one by one": (GET, b"a: b\r\n"),
    "a value": (GET + b"a: ", b"b"),
    "empty lines": (b"", b"\r\n"),
    "a second head": (GET + b"\r\n" + GET, b"a: b\r\n"),
    "a body that nobody reads": (GET + b"content-length: 1000\r\n\r\n", b"x"),
    "chunks that nobody reads": (GET + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "trailers that nobody reads": (GET + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    "a body without a key": (b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("what", DRIPPING)
def test_slow_heads_and_idle_connections_are_closed(quick_api: Api, what: str) -> None:
    start, piece = DRIPPING[what]
    stop = threading.Event()
    with connected(quick_api, start, seconds=20) as connection:
        dripping = threading.Thread(target=drip, args=(connection, piece, stop))
        dripping.start()
        assert hung_up(connection)
        stop.set()
        dripping.join()


def test_a_slow_head_gets_a_response_before_the_connection_is_closed(quick_api: Api) -> None:
    with connected(quick_api, GET) as connection:
        status, headers, problem = answer_of(connection)
    assert (status, problem["code"], problem["retryable"]) == (408, "REQUEST.HEAD_TOO_SLOW", True)
    assert headers["connection"] == "close"


def test_a_client_that_waits_for_a_response_is_not_disconnected(quick_api: Api, photo: bytes) -> None:
    job = httpx.post(f"{quick_api.url}/animate", data={"prompt": "waves"}, files={"image": photo}).json()
    answer = httpx.get(f"{quick_api.url}/jobs/{job['id']}?wait=2", timeout=30)
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")


def test_a_client_that_does_not_read_its_response_is_disconnected(
    redis_port: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with api_running(tmp_path_factory.mktemp("unread"), redis_port, {"CINEMO_MAX_UNREAD_SECONDS": "0.5"}) as api:
        store = LocalStore(api.storage_folder, api.url, "for tests alone")
        store.put_bytes("jobs/job_1/1/video.mp4", bytes(32 * MEBIBYTE), "video/mp4")
        target = store.presign("jobs/job_1/1/video.mp4", 600).removeprefix(api.url)
        with connected(api, f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()) as connection:

            def is_cut_off() -> bool:
                try:
                    connection.send(b" ")
                except OSError:
                    return True
                return False

            wait_until(is_cut_off, 60, "being cut off")


def test_endless_requests_delay_no_other_client(api: Api) -> None:
    stop = threading.Event()

    def attack() -> None:
        while not stop.is_set():
            with suppress(OSError), connected(api, GET + b"a: ") as connection:
                pour(connection, b"b" * 65536, 20 * MEBIBYTE)

    attackers = [threading.Thread(target=attack) for _ in range(4)]
    for each in attackers:
        each.start()
    began, slowest = time.monotonic(), 0.0
    while time.monotonic() - began < 3:
        slowest = max(slowest, health_seconds(api))
    stop.set()
    for each in attackers:
        each.join()
    assert slowest < 2
