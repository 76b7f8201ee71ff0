"""Raw connections to an API, and the resources of its process."""

import json
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.conftest import Api
from tests.systems import need_linux

MEBIBYTE = 1024 * 1024


@contextmanager
def connected(api: Api, sent: bytes = b"", seconds: float = 30) -> Iterator[socket.socket]:
    """A connection on which some bytes were sent."""
    with connect(api, sent, seconds) as connection:
        yield connection


def connect(api: Api, sent: bytes = b"", seconds: float = 30) -> socket.socket:
    place = urlsplit(api.url)
    assert place.hostname is not None
    connection = socket.create_connection((place.hostname, place.port or 80), timeout=seconds)
    connection.sendall(sent)
    return connection


def pour(connection: socket.socket, block: bytes, most_bytes: int) -> int:
    """Send a block repeatedly until so much is sent or the server closes; returns how much was sent."""
    sent = 0
    with suppress(OSError):
        while sent < most_bytes:
            connection.sendall(block)
            sent += len(block)
    return sent


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and problem of the first response, read until the server closes; status 0 if none."""
    received = everything(connection)
    if not received:
        return 0, {}, {}
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, json.JSONDecoder().raw_decode(body.decode())[0] if body else {}


def answers_of(connection: socket.socket) -> list[int]:
    """Statuses of all responses, read until the server closes."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", everything(connection))]


def everything(connection: socket.socket) -> bytes:
    """All bytes until the server closes."""
    received = b""
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    return received


def hung_up(connection: socket.socket) -> bool:
    """Wait until the server has closed a connection, whatever it sent before; returns whether it has."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def resident_mebibytes(api: Api) -> float:
    return float(psutil.Process(api.process.pid).memory_info().rss / MEBIBYTE)


def peak_mebibytes(api: Api) -> float:
    """The process's peak memory."""
    need_linux("says of another process what it held at most")
    with open(f"/proc/{api.process.pid}/status") as file:
        (line,) = [line for line in file if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def health_seconds(api: Api, path: str = "/healthz") -> float:
    """How long a health check takes."""
    place = urlsplit(api.url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=60)
    began = time.monotonic()
    with closing(connection):
        connection.request("GET", path)
        assert connection.getresponse().status == 200
    return time.monotonic() - began


def allow_descriptors(count: int) -> None:
    """Allow this process to open at least so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
