"""Proxies that inject faults of networks and servers: one for HTTP, one for any TCP."""

import random
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.http_servers import Server

Fault = Literal["error", "expired", "hang", "cut", "lost", "truncate", "slow", "late"]
"""What becomes of a request: a 500; a 403 as S3 says that credentials have expired; no answer, ever; a connection
closed halfway through the answer's body, or instead of it; one closed in place of the whole answer; half of the
request's body passed on, and the answer to that; an answer and a body a few bytes at a time; passed on after
`LATE_SECONDS`."""

CHUNK_BYTES = 64 * 1024
SLOW_BYTES, SLOW_SECONDS = 1024, 0.02
LATE_SECONDS = 0.05
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect", "server", "date"}
EXPIRED = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
BROKEN = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"


@dataclass(frozen=True)
class Seen:
    """A received request, and the fault that was injected."""

    method: str
    path: str
    fault: Fault | None


@dataclass
class HttpProxy:
    """Stands in front of a server; injects planned faults first, then random ones at `rates`.

    With the same seed and the same order of requests the same ones go wrong.
    """

    upstream: str
    rates: dict[Fault, float] = field(default_factory=dict)
    seed: int = 0
    only: str = ""
    """Faults by chance come to requests alone whose paths have this in them."""
    expired_key: str = ""
    """An access key whose credentials have expired: what is signed by it is refused so, whatever is planned."""
    seen: list[Seen] = field(default_factory=list)
    planned: deque[Fault | None] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._server = Server(("127.0.0.1", 0), handler(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def plan(self, *faults: Fault | None) -> None:
        """Inject these faults into the next requests; None lets one pass."""
        with self._lock:
            self.planned.extend(faults)

    def heal(self) -> None:
        """Forward everything from now on; hanging requests stay hanging."""
        with self._lock:
            self.planned.clear()
            self.rates, self.only = {}, ""

    def draw(self, method: str, path: str) -> Fault | None:
        """Choose the fault for a request."""
        with self._lock:
            fault = self.planned.popleft() if self.planned else self._by_chance(path)
            self.seen.append(Seen(method, path, fault))
            return fault

    def _by_chance(self, path: str) -> Fault | None:
        if self.only not in path:
            return None
        number = self._random.random()
        for fault, rate in self.rates.items():
            if number < rate:
                return fault
            number -= rate
        return None

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


def handler(proxy: HttpProxy) -> type[BaseHTTPRequestHandler]:
    upstream = urlsplit(proxy.upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are written apart, and the second would wait for the first one's acknowledgement.
        disable_nagle_algorithm = True

        def pass_on(self) -> None:
            """Read the request, forward it, and respond, with the chosen fault."""
            fault = proxy.draw(self.command, self.path)
            if proxy.expired_key and f"Credential={proxy.expired_key}/" in self.headers.get("authorization", ""):
                fault = "expired"
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if fault == "hang":
                proxy.stopping.wait()
                self.close_connection = True
            elif fault == "error":
                self.answer(500, {"content-type": "application/xml"}, BROKEN)
            elif fault == "expired":
                self.answer(403, {"content-type": "application/xml"}, EXPIRED)
            else:
                if fault == "late":
                    proxy.stopping.wait(LATE_SECONDS)
                self.answer(*self.ask(body[: len(body) // 2] if fault == "truncate" else body), fault)

        def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            assert upstream.hostname
            connection = HTTPConnection(upstream.hostname, upstream.port or 80, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            try:
                connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            except (OSError, HTTPException):
                return 502, {}, b""
            finally:
                connection.close()

        def answer(self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None = None) -> None:
            if fault == "lost" or (fault == "cut" and not body):
                self.close_connection = True
                return
            # The answer to HEAD has the length of a body that does not come.
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if fault == "cut":
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            elif fault == "slow":
                for start in range(0, len(body), SLOW_BYTES):
                    self.wfile.write(body[start : start + SLOW_BYTES])
                    proxy.stopping.wait(SLOW_SECONDS)
            else:
                self.wfile.write(body)

        def handle(self) -> None:
            with suppress(OSError):  # a client that hung up
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:
            pass

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    return Handler


@contextmanager
def http_proxy(upstream: str, seed: int = 0, **rates: float) -> Iterator[HttpProxy]:
    """A proxy that runs until the context exits, as `http_proxy(url, error=0.3, hang=0.1)`."""
    proxy = HttpProxy(upstream, rates, seed)  # type: ignore[arg-type]
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


class TcpProxy:
    """Stands in front of any server: forwards bytes, holds them back, or cuts connections; its port stays."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream = ("127.0.0.1", upstream_port)
        self._open = threading.Event()
        self._open.set()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = listen(0)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def freeze(self) -> None:
        """Hold back all bytes; connections stay open."""
        self._open.clear()

    def thaw(self) -> None:
        """Forward what was held back, and what follows."""
        self._open.set()

    def cut(self) -> None:
        """Close all connections and reject new ones."""
        # A thread that waits in accept() would else take one connection more.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Accept connections again."""
        self._listener = listen(self.port)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._upstream) as server:
            with self._lock:
                self._sockets |= {client, server}
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()
        with self._lock:
            self._sockets = {each for each in self._sockets if each.fileno() >= 0}

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                self._open.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


def listen(port: int) -> socket.socket:
    """A listening socket; waits for a port that was just closed."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@contextmanager
def tcp_proxy(upstream_port: int) -> Iterator[TcpProxy]:
    """A proxy that runs until the context exits."""
    proxy = TcpProxy(upstream_port)
    try:
        yield proxy
    finally:
        proxy.thaw()
        proxy.cut()
