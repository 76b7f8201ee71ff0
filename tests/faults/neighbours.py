"""What one tenant can do to another: one attacks, the other measures."""

import io
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import httpx
from PIL import Image

from service.store.tenants import Scope, TenantStore
from tests.faults.case import Case, Run
from tests.faults.rig import Rig
from tests.processes import wait_until
from tests.receiver import receiving

STREAMS, HUNG, ASKED = 200, 200, 100
SLOW, LARGE, HALF = 60, 6, 400
ALLOWED = '["127.0.0.0/8"]'
NOISE_SECONDS = 0.1
"""What a machine with two cores adds now and then to a request that takes a hundredth of that."""
SILENT_SECONDS = 2.0
SLACK_SECONDS = 1.0


@dataclass
class Measured:
    """The requests of the measuring tenant."""

    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def p99_ms(self) -> float:
        return sorted(self.seconds)[round(0.99 * (len(self.seconds) - 1))] * 1000


@dataclass(frozen=True)
class Tenant:
    """A client with a key of its own."""

    http: httpx.Client
    photo: bytes

    def animate(self, **fields: str) -> httpx.Response:
        data = {"prompt": "waves", **fields}
        return self.http.post("/animate", data=data, files={"image": self.photo})

    def job(self, **fields: str) -> str:
        made: str = self.animate(**fields).raise_for_status().json()["id"]
        return made

    def cancel(self, job_id: str) -> httpx.Response:
        return self.http.post(f"/jobs/{job_id}/cancel")

    def measure(self, count: int) -> Measured:
        """Create, read, wait for and cancel jobs."""
        measured = Measured()
        for _ in range(count):
            job_id = self.job()
            for method, path in (("GET", f"/jobs/{job_id}"), ("POST", f"/jobs/{job_id}/cancel")):
                began = time.monotonic()
                answer = self.http.request(method, path)
                measured.seconds.append(time.monotonic() - began)
                measured.statuses.append(answer.status_code)
            measured.statuses.append(self.http.get(f"/jobs/{job_id}", params={"wait": 1}).status_code)
        return measured


def tenant(rig: Rig, name: str) -> Tenant:
    _, token = TenantStore(rig.client).create_key(name, frozenset({Scope.ADMIN}))
    headers, limits = {"Authorization": f"Bearer {token}"}, httpx.Limits(max_connections=None)
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), "grey").save(buffer, "JPEG")
    return Tenant(httpx.Client(base_url=rig.urls[0], headers=headers, timeout=60, limits=limits), buffer.getvalue())


@contextmanager
def streams(attacker: Tenant) -> Iterator[None]:
    """Event streams, as many as allowed and more."""
    job_id = attacker.job()
    with ExitStack() as stack:
        url, headers = f"/jobs/{job_id}/events", {"Accept": "text/event-stream"}
        opened = [stack.enter_context(attacker.http.stream("GET", url, headers=headers)) for _ in range(STREAMS)]
        assert {each.status_code for each in opened} == {200, 429}
        yield


@contextmanager
def reruns(attacker: Tenant) -> Iterator[None]:
    """Reruns and cancellations, one after another, until the end."""
    job_id, over = attacker.job(), threading.Event()

    def loop() -> None:
        while not over.is_set():
            again = attacker.http.post(f"/jobs/{job_id}/rerun")
            if again.status_code == 202:
                attacker.cancel(again.json()["id"])

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def hung_receivers(attacker: Tenant) -> Iterator[None]:
    """Webhooks to hosts that accept connections and never respond."""
    with socket.create_server(("0.0.0.0", 0), backlog=1024) as pit:
        port = pit.getsockname()[1]
        for number in range(HUNG):
            attacker.cancel(attacker.job(webhook_url=f"http://127.0.1.{1 + number}:{port}/"))
        yield


@contextmanager
def slow_servers(attacker: Tenant) -> Iterator[None]:
    """Pictures on a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as pit:
        url = f"http://127.0.0.1:{pit.getsockname()[1]}/photo.jpg"
        with keeping_on(lambda: attacker.http.post("/animate", json={"prompt": "waves", "image_url": url}), SLOW):
            yield


@contextmanager
def large_pictures(attacker: Tenant) -> Iterator[None]:
    """PNGs that are small as files and have 25 megapixels with four channels."""
    buffer = io.BytesIO()
    Image.new("RGBA", (5000, 5000), (9, 9, 9, 9)).save(buffer, "PNG")
    large = Tenant(attacker.http, buffer.getvalue())
    with keeping_on(large.animate, LARGE):
        yield


@contextmanager
def half_heads(attacker: Tenant) -> Iterator[None]:
    """Connections that send half a head and wait."""
    place = attacker.http.base_url
    with ExitStack() as stack:
        for _ in range(HALF):
            connection = stack.enter_context(socket.create_connection((place.host, place.port or 80), timeout=30))
            connection.sendall(b"GET /jobs HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ")
        yield


@contextmanager
def keeping_on(ask: Callable[[], httpx.Response], at_once: int) -> Iterator[None]:
    """Threads that repeat requests until the end, whatever the response."""
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            with suppress(httpx.TransportError):
                ask()

    for _ in range(at_once):
        threading.Thread(target=loop, daemon=True).start()
    try:
        yield
    finally:
        over.set()


ATTACKS: dict[str, Callable[[Tenant], AbstractContextManager[None]]] = {
    "event streams": streams,
    "reruns": reruns,
    "hung receivers": hung_receivers,
    "slow servers of pictures": slow_servers,
    "large pictures": large_pictures,
    "half heads": half_heads,
}


def crowd(run: Run) -> str:
    """One tenant's requests while another makes one attack after another."""
    with run.rig(CINEMO_AUTH="keys", CINEMO_OUTBOUND_ALLOWED_NETWORKS=ALLOWED) as rig, receiving() as receiver:
        rig.start_api()
        rig.start_sender()
        quiet_one, attacker = tenant(rig, "quiet"), tenant(rig, "many")
        quiet_one.measure(20)
        count = run.count(ASKED)
        summaries = []
        for name, attack in ATTACKS.items():
            quiet = quiet_one.measure(count)
            with attack(attacker):
                under = quiet_one.measure(count)
                seconds = heard_after(quiet_one, receiver.url, receiver.received)
            assert max(under.statuses) < 400, "somebody else's request failed"
            bound = max(2 * quiet.p99_ms, quiet.p99_ms + NOISE_SECONDS * 1000)
            assert under.p99_ms < bound, f"{name}: p99 {under.p99_ms:.0f} ms, quiet {quiet.p99_ms:.0f} ms"
            assert seconds < 5, "a webhook waited for another tenant's"
            summaries.append(f"{name}: p99 {quiet.p99_ms:.0f} → {under.p99_ms:.0f} ms, webhook after {seconds:.1f} s")
        return "; ".join(summaries) + "; no 5xx"


def heard_after(quiet_one: Tenant, url: str, received: Sequence[object]) -> float:
    """Seconds from a job's end to its webhook."""
    before, job_id = len(received), quiet_one.job(webhook_url=url)
    began = time.monotonic()
    quiet_one.cancel(job_id)
    wait_until(lambda: len(received) > before, 60, "the webhook")
    return time.monotonic() - began


def silent(run: Run) -> str:
    """Requests while Redis is frozen, and afterwards."""
    with run.rig() as rig:
        rig.start_api()
        quiet_one = tenant(rig, "quiet")
        quiet_one.http.headers.pop("Authorization")
        job_id = quiet_one.job()
        seconds = []
        assert rig.redis_process
        rig.redis_process.send_signal(signal.SIGSTOP)
        try:
            for path in (f"/jobs/{job_id}", "/readyz", "/jobs", "/metrics") * run.count(10):
                began = time.monotonic()
                answer = quiet_one.http.get(path)
                seconds.append(time.monotonic() - began)
                assert answer.status_code == (200 if path == "/metrics" else 503)
        finally:
            rig.redis_process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        wait_until(lambda: quiet_one.http.get(f"/jobs/{job_id}").status_code == 200, 10, "an answer")
        back = time.monotonic() - began
        assert max(seconds) < SILENT_SECONDS + SLACK_SECONDS, f"a request waited for {max(seconds):.1f} s"
        typical = sorted(seconds)[len(seconds) // 2]
        return (
            f"{len(seconds)} requests, answered 503 after at most {max(seconds):.1f} s, half of them within "
            f"{typical * 1000:.0f} ms; served again {back:.1f} s after it went on"
        )


CASES = (
    Case(
        "crowd",
        f"a tenant with {STREAMS} event streams, with reruns in a loop, with {HUNG} hung receivers and more",
        crowd,
    ),
    Case("silent", "Redis stopped by SIGSTOP while requests come", silent),
)
