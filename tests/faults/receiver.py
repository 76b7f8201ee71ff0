"""A receiver of webhooks that records what it gets, and can be down."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.http_servers import serving


@dataclass(frozen=True)
class Received:
    """A webhook that was confirmed."""

    id: str
    job: str
    type: str


@dataclass
class Receiver:
    """Its URL, the webhooks it has confirmed in order, and how many it has rejected."""

    url: str
    received: list[Received] = field(default_factory=list)
    turned_away: int = 0
    down: bool = False

    def of_job(self, job_id: str) -> list[Received]:
        return [each for each in self.received if each.job == job_id]

    def check(self, job_id: str, types: list[str]) -> None:
        """Each event of a job arrived at least once, under one ID, and in order."""
        heard = self.of_job(job_id)
        firsts = list(dict.fromkeys(each.type for each in heard))
        assert firsts == types, f"of {job_id} was heard {[each.type for each in heard]}"
        assert len({(each.type, each.id) for each in heard}) == len(types), f"one event of {job_id} has two ids"

    @property
    def repeats(self) -> int:
        """Webhooks beyond the first of each id."""
        return len(self.received) - len({each.id for each in self.received})


@contextmanager
def open_receiver() -> Iterator[Receiver]:
    """A receiver that listens until the context exits."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                if receiver.down:
                    receiver.turned_away += 1
                else:
                    webhook = Received(self.headers["webhook-id"], body["data"]["id"], body["type"])
                    receiver.received.append(webhook)
                self.send_response(503 if receiver.down else 204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    receiver = Receiver("")
    with serving(Handler) as port:
        receiver.url = f"http://127.0.0.1:{port}/hook"
        yield receiver
