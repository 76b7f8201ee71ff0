"""An example webhook receiver that verifies webhooks, prints them and shows the latest at `/`.

Uses only the standard library, to show what verification takes.
"""

import argparse
import base64
import hashlib
import hmac
import json
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MAX_SHOWN = 100
TOLERANCE_SECONDS = 300
MAX_BYTES = 1024 * 1024


def verified(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether a signature matches the secret and the message is at most five minutes old, per Standard Webhooks."""
    try:
        webhook_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
            return False
        signatures = [each.removeprefix("v1,") for each in headers["webhook-signature"].split()]
    except (KeyError, ValueError):
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{webhook_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
    return any(hmac.compare_digest(expected, each.encode()) for each in signatures)


class Receiver(ThreadingHTTPServer):
    """Keeps the latest messages in memory, without duplicates."""

    def __init__(self, port: int, secret_path: Path) -> None:
        super().__init__(("", port), Handler)
        self.secret_path = secret_path
        self.seen: deque[dict[str, Any]] = deque(maxlen=MAX_SHOWN)

    def receive(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Keep and print a message; False if its signature is invalid."""
        # Read every time, because the secret may have been rotated.
        if not verified(self.secret_path.read_text(), headers, body, time.time()):
            return False
        webhook_id = headers["webhook-id"]
        if webhook_id not in {each["id"] for each in self.seen}:
            message = json.loads(body)
            job = message["data"]
            shown = {"id": webhook_id, "type": message["type"], "job": job["id"], "output": job.get("output")}
            self.seen.appendleft(shown)
            print(json.dumps(shown), flush=True)
        return True


class Handler(BaseHTTPRequestHandler):
    """POST receives a webhook, GET shows the latest."""

    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        if length > MAX_BYTES:
            self._respond(413, b"")
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length)
        self._respond(204 if self.server.receive(headers, body) else 400, b"")

    def do_GET(self) -> None:
        self._respond(200, json.dumps(list(self.server.seen), indent=2).encode() + b"\n")

    def _respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log no requests: received webhooks are printed."""


def main() -> None:
    """Receive until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Receive and show webhooks.")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--secret", type=Path, required=True, help="File with the tenant's secret, whsec_…")
    arguments = parser.parse_args()
    with Receiver(arguments.port, arguments.secret) as receiver:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=receiver.shutdown).start())
        receiver.serve_forever()


if __name__ == "__main__":
    main()
