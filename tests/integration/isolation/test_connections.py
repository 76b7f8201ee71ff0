"""Connections in numbers: those that wait go first, and whoever asks for something is served."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from service.server.crowd import SPARE, Crowd
from tests.conftest import Api, api_running
from tests.integration.isolation.wire import allow_descriptors, connect, health_seconds
from tests.processes import wait_until

HALF = b"GET /jobs HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: "
WHOLE = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


@contextmanager
def crowded(api: Api, count: int, sent: bytes) -> Iterator[None]:
    """So many connections on which so much has been sent, and no more comes."""
    allow_descriptors(count + 256)
    with ExitStack() as stack:
        for _ in range(count):
            # A place may be refused while the others are taken.
            with suppress(OSError):
                stack.enter_context(connect(api, sent))
        yield


@pytest.fixture(scope="module")
def poor_api(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that may open 256 files, and waits for heads for as long as the tests take."""
    changes = {"CINEMO_MAX_HEAD_SECONDS": "600"}
    with api_running(tmp_path_factory.mktemp("poor"), redis_port, changes, descriptors=256) as api:
        yield api


@pytest.mark.parametrize("sent", [HALF, b"", WHOLE, WHOLE + HALF], ids=["half", "nothing", "idle", "idle and half"])
def test_an_api_with_few_descriptors_serves_whoever_asks_beside_many_who_wait(
    poor_api: Api, sent: bytes, photo: bytes
) -> None:
    with crowded(poor_api, 400, sent):
        for path in ("/healthz", "/readyz", "/metrics", "/jobs"):
            assert health_seconds(poor_api, path) < 5
        with httpx.Client(base_url=poor_api.url, timeout=30) as known:
            for _ in range(3):
                job = known.post("/animate", data={"prompt": "waves"}, files={"image": photo})
                assert job.status_code == 202, job.text
    assert "EMFILE" not in poor_api.log.read_text()
    assert "Too many open files" not in poor_api.log.read_text()


def test_who_asks_whether_an_api_is_well_is_heard_beside_as_many_waits_as_there_may_be(
    redis_port: int, tmp_path: Path, photo: bytes
) -> None:
    with api_running(tmp_path, redis_port, {"CINEMO_MAX_CONNECTIONS": "20"}) as api:
        job = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": photo}).json()
        waiting = f"GET /jobs/{job['id']}?wait=60 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()
        with crowded(api, 20, waiting):

            def is_full() -> bool:
                answer = httpx.get(f"{api.url}/jobs", timeout=30)
                return answer.status_code == 503 and answer.json()["code"] == "SERVICE.BUSY"

            wait_until(is_full, 30, "being full")
            assert httpx.get(f"{api.url}/jobs").headers["retry-after"] == "5"
            with crowded(api, 100, HALF):
                assert health_seconds(api) < 5
                assert health_seconds(api, "/readyz") < 5
        wait_until(lambda: httpx.get(f"{api.url}/jobs").status_code == 200, 30, "having room again")


@dataclass(eq=False)
class Guest:
    """A connection that is none."""

    gone: bool = False

    def leave(self) -> None:
        self.gone = True


def entered(crowd: Crowd, count: int) -> list[Guest]:
    guests = [Guest() for _ in range(count)]
    assert all(crowd.enter(each) for each in guests)
    return guests


def test_of_too_many_the_stranger_that_has_waited_longest_goes() -> None:
    crowd = Crowd(8)
    guests = entered(crowd, 8)
    entered(crowd, 1)
    assert [each.gone for each in guests] == [True, *[False] * 7]
    assert (len(crowd), crowd.full) == (8, False)


def test_a_newcomer_among_clients_that_are_idle_is_given_time_to_ask() -> None:
    crowd = Crowd(8)
    guests = entered(crowd, 8)
    for each in guests:
        crowd.move(each, crowd.idle)
    newcomers = entered(crowd, 2)
    assert [each.gone for each in guests] == [True, True, *[False] * 6]
    assert not any(each.gone for each in newcomers)


def test_who_is_served_stays_and_who_takes_nothing_of_an_answer_goes() -> None:
    crowd = Crowd(4)
    guests = entered(crowd, 4)
    for each in guests:
        crowd.move(each, crowd.busy)
    crowd.move(guests[2], crowd.stalled)
    entered(crowd, 1)
    assert [each.gone for each in guests] == [False, False, True, False]


def test_beyond_the_limit_a_few_are_let_in_and_then_nobody() -> None:
    crowd = Crowd(4)
    for each in entered(crowd, 4):
        crowd.move(each, crowd.busy)
    for _ in range(SPARE):
        (guest,) = entered(crowd, 1)
        assert crowd.full
        crowd.move(guest, crowd.busy)
    assert not crowd.enter(Guest())


def test_who_has_left_is_forgotten() -> None:
    crowd = Crowd(4)
    (guest,) = entered(crowd, 1)
    assert crowd.remove(guest)
    assert not crowd.remove(guest)
    crowd.move(guest, crowd.idle)
    assert len(crowd) == 0
