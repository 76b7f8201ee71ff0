"""Generates HTTP load over persistent connections, cheaply enough that the server is what is measured."""

import json
import socket
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import psutil


@dataclass(frozen=True)
class Load:
    """What a load met: requests a second, milliseconds a request at the median and the 99th percentile.

    `cpu_ms` is what a request took of the server's processor, which depends least on what else the machine does.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


@dataclass(frozen=True)
class Server:
    """A server on this machine."""

    port: int
    process_id: int

    def cpu_seconds(self) -> float:
        """CPU time of a process and its children since they started."""
        process = psutil.Process(self.process_id)
        times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))


BUSY = b"409"
"""What Cog answers while it has no place for another prediction."""


class Connection:
    """One client's connection; raises if a response is not successful."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, request: bytes) -> bytes:
        """Send a request, and retry while the server is busy; returns the response's body."""
        status = BUSY
        while status == BUSY:
            status, head, body = self._send(request)
        if status not in (b"200", b"202"):
            raise RuntimeError(f"the server answers {head.decode()}")
        return body

    def _send(self, request: bytes) -> tuple[bytes, bytes, bytes]:
        self._socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        while len(body) < int(headers[b"content-length"]):
            body += self._receive()
        return status.split()[1], head, body

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise RuntimeError("the server hung up")
        return received


def load(server: Server, request: bytes, connections: int, requests: int) -> Load:
    """Send a request repeatedly over some concurrent connections, so many times in all."""

    def client(count: int) -> list[float]:
        connection, times = Connection(server.port), []
        for _ in range(count):
            started = time.perf_counter()
            connection.call(request)
            times.append(time.perf_counter() - started)
        connection.close()
        return times

    started, used = time.perf_counter(), server.cpu_seconds()
    with ThreadPoolExecutor(connections) as pool:
        times = [each for some in pool.map(client, [requests // connections] * connections) for each in some]
    seconds = time.perf_counter() - started
    cpu_ms = (server.cpu_seconds() - used) / len(times) * 1000
    p99_ms = statistics.quantiles(times, n=100)[98] * 1000
    return Load(len(times) / seconds, statistics.median(times) * 1000, p99_ms, cpu_ms)


def median_load(loads: Sequence[Load]) -> Load:
    """The median of each figure over several runs."""
    return Load(*(statistics.median(getattr(each, figure.name) for each in loads) for figure in fields(Load)))


def get_request(path: str, token: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def post_request(path: str, photo: bytes, form: dict[str, str], token: str = "") -> bytes:
    """A form with a photo, as every client sends it."""
    boundary = b"bench-boundary"
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in form.items()]
    parts.append(b'name="image"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n' + photo)
    body = b"".join(b"--%b\r\nContent-Disposition: form-data; %b\r\n" % (boundary, part) for part in parts)
    body += b"--%b--\r\n" % boundary
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary.decode()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def post_json_request(path: str, body: bytes, header: str) -> bytes:
    """A JSON body with an additional header."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{header}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def job_of(answer: bytes) -> str:
    """The ID in a response."""
    job: dict[str, Any] = json.loads(answer)
    return str(job["id"])
