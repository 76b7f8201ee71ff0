"""A policy service for tests: a real HTTP server that records questions and returns the given answers."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.http_servers import serving

SECRET = "whsec_" + "cG9saWN5IHRlc3RzLCBub3QgYSBzZWNyZXQu"
ALLOW = {"decision": "allow"}

Answer = Callable[[dict[str, Any]], Any]


@dataclass
class Policy:
    """`answer` maps a question to the JSON of the response; an integer is a status without a body."""

    url: str
    answer: Answer = lambda _: ALLOW
    asked: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def policy_running() -> Iterator[Policy]:
    """Serve in threads of this process; a request with a wrong signature gets 401."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                question = Webhook(SECRET).verify(body, {name.lower(): value for name, value in self.headers.items()})
            except Exception:
                # The library raises several kinds; whatever it is, the request is not authentic.
                self.respond(401, b"")
                return
            policy.asked.append(question)
            answer = policy.answer(question)
            if isinstance(answer, int):
                self.respond(answer, b"")
            else:
                self.respond(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def respond(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    policy = Policy("")
    with serving(Handler) as port:
        policy.url = f"http://127.0.0.1:{port}/policy"
        yield policy
