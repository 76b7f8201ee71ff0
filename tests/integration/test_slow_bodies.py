"""Bodies that are slow, exceed the memory budget or differ from their declared length are cut off in time."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Message

from service.api.bodies import Incoming, read_file
from service.api.memory_budget import MemoryBudget, Reservation
from service.contract.problems import ServiceBusy
from service.contract.settings import Settings
from tests.conftest import Api, api_running
from tests.integration.bodies import IMAGE, send
from tests.processes import wait_until


@pytest.fixture(scope="module")
def short_api(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that waits half a second for a body, and has memory for one at a time."""
    changes = {"CINEMO_MAX_BODY_SECONDS": "0.5", "CINEMO_MAX_BODIES_BYTES": "1"}
    with api_running(tmp_path_factory.mktemp("short"), redis_port, changes) as api:
        api.redis.flushall()
        yield api


@contextmanager
def connected(api: Api, path: str, kind: str, length: int) -> Iterator[socket.socket]:
    """A connection on which a request's head was sent."""
    place = urlsplit(api.url)
    assert place.hostname is not None
    with socket.create_connection((place.hostname, place.port or 80), timeout=30) as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        yield connection


def answer_of(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and problem, read until the server closes."""
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
def test_a_client_that_sends_its_body_too_slowly_is_cut_off(short_api: Api, path: str, kind: str) -> None:
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


def test_a_body_beyond_the_memory_budget_is_rejected_until_memory_is_released(short_api: Api) -> None:
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


def test_a_client_rejected_for_lack_of_memory_may_finish_sending_and_sees_the_reason() -> None:
    sent = [b"x" * 100_000] * 5

    async def receive() -> Message:
        return {"type": "http.request", "body": sent.pop(), "more_body": bool(sent)}

    budget = MemoryBudget(1_000_000, 1_000_000, reserved=999_999)
    request = Request({"type": "http", "method": "POST", "headers": [(b"content-length", b"500000")]}, receive)
    settings = Settings(storage_url="s3://videos")
    with pytest.raises(ServiceBusy):
        asyncio.run(read_file(Incoming(request, settings, Reservation(budget)), 1_000_000))
    assert (sent, budget.reserved) == ([], 999_999)


def test_a_client_rejected_for_lack_of_memory_gets_a_response_however_slowly_it_sends() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nothing ever comes")

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-length", b"9")]}, receive)
    settings = Settings(storage_url="s3://videos", max_body_seconds=0.05)
    with pytest.raises(ServiceBusy):
        asyncio.run(read_file(Incoming(request, settings, Reservation(MemoryBudget(1, 1, reserved=1))), 1_000))


@pytest.mark.parametrize(("reported", "takes"), [(b"500", 500), (b"5000", 1000), (None, 1000)])
def test_a_body_reserves_its_declared_length_up_to_the_limit(reported: bytes | None, takes: int) -> None:
    headers = [(b"content-length", reported)] if reported else [(b"transfer-encoding", b"chunked")]
    request = Request({"type": "http", "headers": headers})
    assert (
        Incoming(request, Settings(storage_url="s3://videos"), Reservation(MemoryBudget(1, 1))).max_bytes(1000) == takes
    )


def test_a_body_shorter_than_declared_times_out(short_api: Api) -> None:
    whole = json.dumps({"prompt": "waves", "image_base64": IMAGE}).encode()
    with connected(short_api, "/animate", "application/json", len(whole) + 10) as connection:
        connection.sendall(whole)
        assert answer_of(connection)[0] == 408
    assert short_api.queued() == 0


def test_a_body_longer_than_declared_is_read_up_to_its_declared_length(api: Api) -> None:
    whole = json.dumps({"prompt": "waves", "image_base64": IMAGE}).encode()
    with connected(api, "/animate", "application/json", len(whole) - 10) as connection:
        connection.sendall(whole)
        connection.shutdown(socket.SHUT_WR)
        received = connection.recv(65536)
    assert received.split()[1] == b"400"
    assert api.queued() == 0
