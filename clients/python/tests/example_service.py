"""A service with one job: real HTTP, with the examples in `docs/openapi.json` as responses."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SCHEMAS: dict[str, Any] = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text(encoding="utf-8"))[
    "components"
]["schemas"]
EXAMPLES: list[tuple[str, Any]] = [
    (name, example) for name, schema in SCHEMAS.items() for example in schema.get("examples", ())
]
JOB: dict[str, Any] = next(each for name, each in EXAMPLES if name == "AnimateJob" and each["status"] == "succeeded")
CLIP = bytes(range(256)) * 500
EVENTS = (
    'id: 1-0\nevent: job.running\ndata: {"at": "2026-11-24T09:21:46Z"}\n\n',
    'id: 2-0\nevent: job.succeeded\ndata: {"at": "2026-11-24T09:21:47.5Z", "message": "künftig"}\n\n',
)


class Server(ThreadingHTTPServer):
    """Responds for one job that has succeeded, and records requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        video = {**JOB["output"]["video"], "url": f"{self.url}/video.mp4", "sha256": hashlib.sha256(CLIP).hexdigest()}
        self.job = {**JOB, "output": {**JOB["output"], "video": video}}
        self.clip = CLIP
        self.problem: dict[str, Any] | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """Return status, content type and body."""
        if self.problem:
            return self.problem["status"], "application/problem+json", json.dumps(self.problem).encode()
        if path == "/video.mp4":
            return 200, "video/mp4", self.clip
        if path.endswith("/events"):
            # One event per connection: a client resumes after the last one it has seen.
            return 200, "text/event-stream", EVENTS[headers.get("last-event-id") == "1-0"].encode()
        answer: dict[str, Any] = self.job
        if path.startswith("/jobs?"):
            answer = {"jobs": [self.job], "next_cursor": None if "cursor=" in path else self.job["id"]}
        return 200, "application/json", json.dumps(answer).encode()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def respond(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.rfile.read(int(headers.get("content-length", 0)))
        self.server.asked.append((f"{self.command} {self.path}", headers))
        status, content_type, body = self.server.answer(self.path, headers)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = respond

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
