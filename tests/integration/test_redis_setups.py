"""Every form of a Redis URL, from the request through the queue to the video."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import redis

from deploy.doctor import redis_server
from deploy.doctor.context import Context
from deploy.doctor.result import Status
from deploy.local.redis import free_port, redis_binary, redis_command
from service.contract.problems import QueueUnavailable
from service.contract.settings import Settings
from service.store.keys import events_key
from service.store.queue import JobQueue
from tests.conftest import Api, api_running
from tests.integration.conftest import SMALL
from tests.processes import PYTHON, running, wait_until
from tests.tls import TlsProxy, make_certificate, tls_proxy

PASSWORD = "a p@ss:w/rd?"
QUOTED = "a%20p%40ss%3Aw%2Frd%3F"
WAIT_SECONDS = 120


@dataclass
class Setup:
    """A running Redis, and its URL."""

    url: str
    proxies: list[TlsProxy] = field(default_factory=list)


@pytest.fixture
def parts() -> Iterator[ExitStack]:
    with ExitStack() as parts:
        yield parts


def server(parts: ExitStack, folder: Path, *options: str) -> int:
    """A redis-server that asks for the password; returns its port."""
    port = free_port()
    folder.mkdir()
    secret = ["--requirepass", PASSWORD, "--masterauth", PASSWORD]
    client = redis.Redis(port=port, password=PASSWORD)
    parts.enter_context(
        running([*redis_command(port, folder), *secret, *options], folder / "log", lambda: answers(client))
    )
    return port


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def sentinel(parts: ExitStack, folder: Path, primary: int, password: str = "") -> int:
    """A sentinel that knows a primary by the name of `jobs`; returns its port."""
    folder.mkdir()
    port, file = free_port(), folder / "sentinel.conf"
    lines = [f"port {port}", "bind 127.0.0.1", f"dir {folder}", f"sentinel monitor jobs 127.0.0.1 {primary} 1"]
    lines += [f'sentinel auth-pass jobs "{PASSWORD}"', *([f"requirepass {password}"] if password else [])]
    file.write_text("\n".join(lines) + "\n")
    client = redis.Redis(port=port, password=password or None)
    parts.enter_context(running([redis_binary(), str(file), "--sentinel"], folder / "log", lambda: answers(client)))
    return port


def by_socket(parts: ExitStack, folder: Path) -> Setup:
    # Not in the test's folder: a Mac has no sockets whose path is longer than 103 bytes.
    path = Path(parts.enter_context(TemporaryDirectory(dir="/tmp")), "redis.sock")
    server(parts, folder / "redis", "--unixsocket", str(path))
    return Setup(f"unix://:{QUOTED}@{path}?db=3")


def by_tls(parts: ExitStack, folder: Path) -> Setup:
    certificate = make_certificate(folder)
    proxy = parts.enter_context(tls_proxy(server(parts, folder / "redis"), certificate))
    return Setup(f"rediss://:{QUOTED}@127.0.0.1:{proxy.port}/2?ssl_ca_certs={certificate.certificate}", [proxy])


def by_sentinel(parts: ExitStack, folder: Path) -> Setup:
    port = sentinel(parts, folder / "sentinel", server(parts, folder / "redis"), password="its-own")
    return Setup(f"redis+sentinel://:{QUOTED}@127.0.0.1:{port}/jobs/1?sentinel_password=its-own")


def by_sentinel_and_tls(parts: ExitStack, folder: Path) -> Setup:
    """The primary also accepts plain connections, for its sentinel, which has no TLS."""
    certificate = make_certificate(folder)
    proxy = parts.enter_context(tls_proxy(server(parts, folder / "redis"), certificate))
    port = sentinel(parts, folder / "sentinel", proxy.port)
    return Setup(f"rediss+sentinel://:{QUOTED}@127.0.0.1:{port}/jobs?ssl_ca_certs={certificate.certificate}", [proxy])


def by_secured_sentinel(parts: ExitStack, folder: Path) -> Setup:
    certificate = make_certificate(folder)
    proxy = parts.enter_context(tls_proxy(server(parts, folder / "redis"), certificate))
    before = parts.enter_context(tls_proxy(sentinel(parts, folder / "sentinel", proxy.port), certificate))
    options = f"sentinel_tls=yes&ssl_ca_certs={certificate.certificate}"
    return Setup(f"rediss+sentinel://:{QUOTED}@127.0.0.1:{before.port}/jobs?{options}", [proxy, before])


SETUPS: dict[str, Callable[[ExitStack, Path], Setup]] = {
    "unix": by_socket,
    "rediss": by_tls,
    "redis+sentinel": by_sentinel,
    "rediss+sentinel": by_sentinel_and_tls,
    "rediss+sentinel, secured": by_secured_sentinel,
}


@pytest.mark.parametrize("name", SETUPS)
def test_a_job_runs_from_the_request_to_its_video(
    name: str, parts: ExitStack, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = SETUPS[name](parts, tmp_path)
    api = parts.enter_context(api_and_worker(setup.url, tmp_path))
    data = {"prompt": "the camera pans left", "num_inference_steps": "1", "frames": "8", **SMALL}
    with httpx.Client(base_url=api.url, timeout=WAIT_SECONDS) as http:
        assert http.get("/readyz").status_code == 200
        posted = http.post("/animate", data=data, files={"image": ("photo.jpg", photo)})
        assert posted.status_code == 202, posted.text
        place = f"/jobs/{posted.json()['id']}"
        events = http.get(f"{place}/events", headers={"Accept": "text/event-stream"}).text
        assert "event: job.succeeded" in events, events
        assert http.get(place).json()["status"] == "succeeded"
    monkeypatch.setenv("CINEMO_REDIS_URL", setup.url)
    assert redis_server.broker(Context(Settings(url_signing_key="x" * 32))).status is Status.OK
    for proxy in setup.proxies:
        said = bytes(proxy.in_the_clear)
        # A sentinel says no more than this to whom it watches.
        assert not [word for word in (b"BRPOP", b"LPUSH", b"EVAL", b"cinemo", b"kombu") if word in said]
        assert proxy.secured


@contextmanager
def api_and_worker(url: str, folder: Path) -> Iterator[Api]:
    """Both on one Redis; the worker loads its model meanwhile."""
    settings = {"CINEMO_REDIS_URL": url, "CINEMO_URL_SIGNING_KEY": "for tests alone"}
    storage = {"CINEMO_STORAGE_URL": f"file://{folder / 'storage'}", "CINEMO_WORK_FOLDER": str(folder / "work")}
    environment = {**os.environ, **settings, **storage}
    with (
        api_running(folder, free_port(), settings) as api,
        running([PYTHON, "-m", "worker"], folder / "worker.log", lambda: True, environment),
    ):
        yield api


def test_an_unreachable_broker_is_reported(parts: ExitStack, tmp_path: Path) -> None:
    """Its certificate is unknown: records work with another URL, but not the queue."""
    unknown = make_certificate(tmp_path)
    records = server(parts, tmp_path / "redis")
    proxy = parts.enter_context(tls_proxy(records, unknown))
    settings = {
        "CINEMO_REDIS_URL": f"redis://:{QUOTED}@127.0.0.1:{records}/0",
        "CINEMO_BROKER_URL": f"rediss://:{QUOTED}@127.0.0.1:{proxy.port}/0",
    }
    with pytest.raises(QueueUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        JobQueue(settings["CINEMO_BROKER_URL"]).check()
    api = parts.enter_context(api_running(tmp_path, records, settings))
    refused = httpx.get(f"{api.url}/readyz", timeout=30)
    assert (refused.status_code, refused.json()["code"]) == (503, "QUEUE.UNAVAILABLE")


def test_connections_that_redis_has_closed_are_reopened_silently(
    parts: ExitStack, tmp_path: Path, photo: bytes
) -> None:
    port = server(parts, tmp_path / "redis", "--timeout", "1")
    settings = {"CINEMO_REDIS_URL": f"redis://:{QUOTED}@127.0.0.1:{port}/0"}
    api = parts.enter_context(api_running(tmp_path, port, settings))
    watched = redis.Redis(port=port, password=PASSWORD)
    with httpx.Client(base_url=api.url, timeout=30) as http:
        posted = http.post("/animate", data={"prompt": "a slow pan"}, files={"image": photo})
        job_id = posted.json()["id"]
        place = f"/jobs/{job_id}"
        for number in range(3):
            assert http.get(place, params={"wait": 1}).status_code == 200
            with http.stream("GET", f"{place}/events", headers={"Accept": "text/event-stream"}) as stream:
                reported = (line for line in stream.iter_lines() if line.startswith("event: "))
                assert next(reported) == "event: job.queued"
                wait_until(lambda: others(watched) <= 1, 30, "Redis closing what is idle but for the read that blocks")
                watched.xadd(events_key(job_id), {"type": f"round-{number}", "data": "{}"})
                assert f"event: round-{number}" in reported
            wait_until(lambda: others(watched) == 0, 30, "Redis closing what is idle")


def others(client: redis.Redis) -> int:
    """Connections of other clients."""
    listed: Any = client.client_list()
    return len(listed) - 1
