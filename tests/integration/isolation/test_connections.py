"""Many connections: waiting ones are closed first, and active clients are served."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from service.contract.record import JobMetrics, new_job_id
from service.server.connections import PROBE_RESERVE, Connections
from tests.conftest import Api, api_running
from tests.integration.isolation.parts import key_of, own_redis
from tests.integration.isolation.wire import (
    MEBIBYTE,
    allow_descriptors,
    connect,
    everything,
    health_seconds,
    peak_mebibytes,
)
from tests.jobs import OUTPUT, VIDEO, JobStore, new_job
from tests.processes import wait_until

HALF = b"GET /jobs HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: "
UNREAD = 100
WHOLE = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


@contextmanager
def crowded(api: Api, count: int, sent: bytes) -> Iterator[None]:
    """Many connections on which some bytes were sent and nothing follows."""
    allow_descriptors(count + 256)
    with ExitStack() as stack:
        for _ in range(count):
            # A place may be refused while the others are taken.
            with suppress(OSError):
                stack.enter_context(connect(api, sent))
        yield


@pytest.fixture(scope="module")
def poor_api(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that may open 256 files, and waits for heads as long as the tests take."""
    changes = {"CINEMO_MAX_HEAD_SECONDS": "600"}
    with api_running(tmp_path_factory.mktemp("poor"), redis_port, changes, descriptors=256) as api:
        yield api


@pytest.mark.parametrize("sent", [HALF, b"", WHOLE, WHOLE + HALF], ids=["half", "nothing", "idle", "idle and half"])
def test_an_api_with_few_file_descriptors_serves_requests_while_many_clients_wait(
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


def test_health_checks_are_answered_while_the_maximum_number_of_clients_wait(
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


UNFINISHED = {
    "body": "POST /animate HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 10\r\n{headers}\r\n",
    "body of /v1": "POST /v1/videos HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n{headers}\r\n",
    "upload": "POST /uploads HTTP/1.1\r\ncontent-length: 10\r\n{headers}\r\n",
}


@pytest.mark.parametrize("what", UNFINISHED)
def test_a_tenant_whose_requests_do_not_end_leaves_connections_to_the_others(tmp_path: Path, what: str) -> None:
    most = 40
    settings = {"CINEMO_AUTH": "keys", "CINEMO_MAX_CONNECTIONS": str(most)}
    with own_redis(tmp_path / "redis") as server, api_running(tmp_path, server.port, settings) as api:
        attacker, other = key_of(api.redis, "attacker"), key_of(api.redis, "other")
        headers = f"host: 127.0.0.1\r\nauthorization: {attacker['Authorization']}\r\n"
        with crowded(api, 3 * most, UNFINISHED[what].format(headers=headers).encode()):
            refused = httpx.get(f"{api.url}/jobs", headers=attacker, timeout=30)
            assert (refused.status_code, refused.json()["code"]) == (429, "RATE.LIMITED")
            assert refused.headers["retry-after"] == "1"
            for _ in range(5):
                assert httpx.get(f"{api.url}/jobs", headers=other, timeout=30).status_code == 200

        def is_served() -> bool:
            return httpx.get(f"{api.url}/jobs", headers=attacker).status_code == 200

        wait_until(is_served, 30, "being served again")


@dataclass(eq=False)
class FakeConnection:
    """Records whether it was evicted."""

    evicted: bool = False

    def evict(self) -> None:
        self.evicted = True


def add(connections: Connections, count: int) -> list[FakeConnection]:
    opened = [FakeConnection() for _ in range(count)]
    assert all(connections.add(each) for each in opened)
    return opened


def test_above_the_limit_the_oldest_new_connection_is_closed() -> None:
    connections = Connections(8, UNREAD)
    opened = add(connections, 8)
    add(connections, 1)
    assert [each.evicted for each in opened] == [True, *[False] * 7]
    assert (len(connections), connections.full) == (8, False)


def test_idle_connections_are_closed_before_new_ones_while_few_are_new() -> None:
    connections = Connections(8, UNREAD)
    opened = add(connections, 8)
    for each in opened:
        connections.move(each, connections.idle)
    newcomers = add(connections, 2)
    assert [each.evicted for each in opened] == [True, True, *[False] * 6]
    assert not any(each.evicted for each in newcomers)


def test_stalled_connections_are_closed_and_busy_ones_stay() -> None:
    connections = Connections(4, UNREAD)
    opened = add(connections, 4)
    for each in opened:
        connections.move(each, connections.busy)
    connections.move(opened[2], connections.stalled)
    add(connections, 1)
    assert [each.evicted for each in opened] == [False, False, True, False]


def test_those_that_stalled_first_are_closed_when_too_much_is_unread() -> None:
    connections = Connections(8, UNREAD)
    opened = add(connections, 4)
    for each in opened[:3]:
        connections.stall(each, 40)
    assert [each.evicted for each in opened] == [True, False, False, False]
    connections.move(opened[1], connections.busy)
    connections.stall(opened[3], 2 * UNREAD)
    assert [each.evicted for each in opened] == [True, False, True, False], "a single one may keep any amount"
    assert connections.unread_bytes == 2 * UNREAD
    connections.remove(opened[3])
    assert connections.unread_bytes == 0


def test_beyond_the_limit_a_reserve_of_connections_is_accepted_and_no_more() -> None:
    connections = Connections(4, UNREAD)
    for each in add(connections, 4):
        connections.move(each, connections.busy)
    for _ in range(PROBE_RESERVE):
        (another,) = add(connections, 1)
        assert connections.full
        connections.move(another, connections.busy)
    assert not connections.add(FakeConnection())


def test_a_removed_connection_is_forgotten() -> None:
    connections = Connections(4, UNREAD)
    (another,) = add(connections, 1)
    assert connections.remove(another)
    assert not connections.remove(another)
    connections.move(another, connections.idle)
    assert len(connections) == 0


LARGE = 8 * MEBIBYTE


def finished(api: Api, tenant: str) -> str:
    """The ID of a job whose video is large."""
    store = JobStore(api.redis)
    made = new_job(new_job_id()).model_copy(update={"tenant": tenant})
    store.submissions.create(made)
    job = store.attempts.dequeue("animate", "worker")
    assert job is not None
    path = api.storage_folder / "data" / "jobs" / job.id / "1" / "video.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(LARGE))
    video = VIDEO.model_copy(update={"key": f"jobs/{job.id}/1/video.mp4", "bytes": LARGE})
    store.attempts.succeed(job, OUTPUT.model_copy(update={"video": video}), JobMetrics())
    return job.id


def test_downloads_that_nobody_reads_take_little_memory(tmp_path: Path) -> None:
    with own_redis(tmp_path / "redis") as server, api_running(tmp_path, server.port, {"CINEMO_AUTH": "keys"}) as api:
        attacker, other = key_of(api.redis, "attacker"), key_of(api.redis, "other")
        path = f"/v1/videos/{finished(api, 'attacker')}/content"
        before = peak_mebibytes(api)
        headers = f"host: 127.0.0.1\r\nauthorization: {attacker['Authorization']}\r\n"
        with crowded(api, 200, f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode()):
            assert len(httpx.get(api.url + path, headers=attacker, timeout=60).content) == LARGE
            assert httpx.get(f"{api.url}/jobs", headers=other, timeout=30).status_code == 200
            assert peak_mebibytes(api) - before < 200


def test_clients_that_stopped_reading_first_are_disconnected_when_too_much_is_unread(tmp_path: Path) -> None:
    settings = {"CINEMO_MAX_UNREAD_BYTES": str(MEBIBYTE)}
    with own_redis(tmp_path / "redis") as server, api_running(tmp_path, server.port, settings) as api:
        path = f"/v1/videos/{finished(api, 'default')}/content"
        request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
        with ExitStack() as stack:
            asking = [stack.enter_context(connect(api, request)) for _ in range(20)]
            log = "/v1/videos/{video_id}/content"
            wait_until(lambda: api.log.read_text().count(log) >= 14, 30, "disconnecting most of them")
            whole = [len(everything(each)) > LARGE for each in asking]
            assert 1 <= sum(whole) <= 6, whole
            assert len(httpx.get(api.url + path, timeout=60).content) == LARGE
