"""Clients of the suite: they send each request with an Idempotency-Key, and repeat it until it succeeds."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from tests.faults.orders import Orders

PAUSE_SECONDS = 0.3
PATIENCE_SECONDS = 150
MAY_BE_SENT_AGAIN = (409, 429, 503)


@dataclass
class Accepted:
    """What clients were promised: IDs of jobs by number, and how often they had to retry."""

    ids: dict[int, str] = field(default_factory=dict)
    refused: int = 0
    """Answers that said to ask again."""
    broken: int = 0
    """Requests that were cut off or not let in."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)


def photo() -> bytes:
    """A small JPEG, as size does not matter here."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "grey").save(buffer, "JPEG")
    return buffer.getvalue()


PHOTO = photo()


def post(urls: list[str], orders: Orders, accepted: Accepted, **fields: Any) -> str:
    """Submit a job, retrying until it is accepted; returns its ID.

    Raises:
        AssertionError: an answer that is neither a job nor says that the request may be sent again.
    """
    data = {"prompt": orders.model_dump_json(), "num_inference_steps": 2, **fields}
    headers = {"Idempotency-Key": f"job-{orders.number}"}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not accepted.stopped.is_set():
        url = urls[orders.number % len(urls)]
        try:
            answer = httpx.post(f"{url}/animate", data=data, files={"image": PHOTO}, headers=headers, timeout=30)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code == 202:
            job_id: str = answer.json()["id"]
            with accepted.lock:
                accepted.ids[orders.number] = job_id
            return job_id
        note(answer, accepted)
        assert time.monotonic() < deadline, f"job {orders.number} was not accepted within {PATIENCE_SECONDS} seconds"
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("stopped")


def note(answer: httpx.Response | None, accepted: Accepted) -> None:
    with accepted.lock:
        if answer is None:
            accepted.broken += 1
            return
        accepted.refused += 1
    assert answer.status_code in MAY_BE_SENT_AGAIN, f"{answer.status_code}: {answer.text}"
    assert answer.json()["retryable"], answer.text


@dataclass
class Load:
    """Clients that submit jobs concurrently while faults happen."""

    urls: list[str]
    accepted: Accepted = field(default_factory=Accepted)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(6)
        self._sent: list[Any] = []

    def send(self, many: list[Orders], **fields: Any) -> None:
        """Start submitting."""
        self._sent += [self._pool.submit(post, self.urls, orders, self.accepted, **fields) for orders in many]

    @property
    def busy(self) -> bool:
        return not all(each.done() for each in self._sent)

    def stop(self) -> None:
        """Stop submitting."""
        self.accepted.stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def wait(self) -> Accepted:
        """Wait until all are accepted; raises errors that occurred."""
        for each in self._sent:
            each.result()
        return self.accepted
