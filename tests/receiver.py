"""A receiver of webhooks: a real HTTP server that records requests and responds as a test wants."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.http_servers import serving

Answering = tuple[int, dict[str, str]]

ALL_EVENTS = ("job.running", "job.succeeded", "job.failed", "job.canceled", "job.expired")
"""All that a receiver may be told of."""


@dataclass(frozen=True)
class Received:
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message

    @property
    def type(self) -> str:
        return str(self.message["type"])


@dataclass
class Receiver:
    """`answer` determines the response to each request, 200 by default."""

    url: str
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], Answering] = lambda _: (200, {})

    def answers(self, status: int, **headers: str) -> None:
        """Respond with this from now on."""
        reported = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda _: (status, reported)

    @property
    def types(self) -> list[str]:
        return [each.type for each in self.received]

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.received]


@contextmanager
def receiving(address: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver in threads of this process; `0.0.0.0` listens on all loopback addresses."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.path, headers, body)
            receiver.received.append(received)
            status, answered = receiver.answer(received)
            self.send_response(status)
            for name, value in answered.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                # The sender has given up on the answer, or died.
                return

    with serving(Handler, address) as port:
        receiver.url = f"http://127.0.0.1:{port}/hook"
        yield receiver
