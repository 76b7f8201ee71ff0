"""With an unresponsive Redis, requests fail within two seconds, then immediately, and recover afterwards."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from service.contract.record import new_job_id
from tests.conftest import Api, api_running
from tests.integration.isolation.parts import QUIET_SECONDS, SLACK_SECONDS, OwnRedis, at_once, own_redis, timed
from tests.jobs import JobStore, new_job
from tests.processes import wait_until
from tests.proxy import TcpProxy, tcp_proxy

PAUSE_MS = 20_000


@dataclass(frozen=True)
class Front:
    """An API whose Redis can be made unresponsive in several ways."""

    api: Api
    server: OwnRedis
    link: TcpProxy


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("silent")
    with own_redis(folder / "redis") as server, tcp_proxy(server.port) as link, api_running(folder, link.port) as api:
        yield Front(api, server, link)


@contextmanager
def paused(front: Front) -> Iterator[None]:
    """By CLIENT PAUSE, as in a failover, which nobody can end early."""
    front.server.client.execute_command("CLIENT", "PAUSE", PAUSE_MS, "ALL")
    yield


@contextmanager
def black_hole(front: Front) -> Iterator[None]:
    """A connection that stays open although nothing arrives any more."""
    front.link.freeze()
    try:
        yield
    finally:
        front.link.thaw()


def stopped(front: Front) -> AbstractContextManager[None]:
    return front.server.stopped()


SILENCES = pytest.mark.parametrize("silence", [stopped, paused, black_hole])


@SILENCES
def test_every_route_reports_an_unresponsive_redis_in_time_and_then_immediately(
    front: Front, silence: Callable[[Front], AbstractContextManager[None]], photo: bytes
) -> None:
    url = front.api.url
    job = new_job(new_job_id())
    JobStore(front.server.client).submissions.create(job)
    wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
    asked: list[Callable[[], httpx.Response]] = [
        lambda: httpx.get(f"{url}/jobs/{job.id}", timeout=60),
        lambda: httpx.get(f"{url}/jobs", timeout=60),
        lambda: httpx.get(f"{url}/readyz", timeout=60),
        lambda: httpx.post(f"{url}/animate", data={"prompt": "waves"}, files={"image": photo}, timeout=60),
        lambda: httpx.post(f"{url}/uploads", content=photo, timeout=60),
        lambda: httpx.post(f"{url}/jobs/{job.id}/cancel", timeout=60),
        lambda: httpx.get(f"{url}/jobs/{job.id}?wait=30", timeout=60),
    ]
    with silence(front):
        for ask in asked:
            answer, seconds = timed(ask)
            assert (answer.status_code, answer.json()["code"]) == (503, "QUEUE.UNAVAILABLE"), answer.text
            assert int(answer.headers["retry-after"]) > 0
            assert seconds < QUIET_SECONDS + SLACK_SECONDS
        metrics, seconds = timed(lambda: httpx.get(f"{url}/metrics", timeout=60))
        assert metrics.status_code == 200
        assert "cinemo_redis_up 0" in metrics.text
        assert seconds < QUIET_SECONDS + SLACK_SECONDS
        times: list[float] = []
        with httpx.Client(timeout=60) as http:
            at_once(60, lambda _: times.append(timed(lambda: http.get(f"{url}/jobs/{job.id}"))[1]))
        assert sorted(times)[30] < 1, "the circuit is open: most are refused without asking Redis"
        assert max(times) < QUIET_SECONDS + 2 * SLACK_SECONDS
        assert timed(lambda: httpx.get(f"{url}/healthz", timeout=60))[1] < 1
    wait_until(lambda: httpx.get(f"{url}/readyz", timeout=30).status_code == 200, 30, "the API's coming back")
    assert httpx.get(f"{url}/jobs/{job.id}").status_code == 200


def test_a_client_that_waits_for_a_job_gets_an_error_when_redis_stops_responding(front: Front) -> None:
    url = front.api.url
    job = new_job(new_job_id())
    JobStore(front.server.client).submissions.create(job)
    answers: list[tuple[httpx.Response, float]] = []
    with front.server.stopped():
        pass
    started = time.monotonic()

    def wait(number: int) -> None:
        if number == 0:
            wait_until(lambda: front.server.client.info("clients")["blocked_clients"] > 0, what="a read that blocks")
            with front.server.stopped():
                wait_until(lambda: len(answers) == 10, 20, "answers")
            return
        answers.append(timed(lambda: httpx.get(f"{url}/jobs/{job.id}?wait=50", timeout=60)))

    at_once(11, wait)
    assert {answer.status_code for answer, _ in answers} == {503}
    assert time.monotonic() - started < 20


def test_a_job_is_accepted_in_time_if_the_queues_redis_is_unresponsive(tmp_path: Path, photo: bytes) -> None:
    with own_redis(tmp_path / "redis") as server, socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {"CINEMO_BROKER_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0"}
        with api_running(tmp_path, server.port, settings) as api:
            answer, seconds = timed(
                lambda: httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": photo}, timeout=60)
            )
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert seconds < QUIET_SECONDS + 2 * SLACK_SECONDS
