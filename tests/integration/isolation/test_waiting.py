"""Event streams and long polls: many of one tenant need few Redis connections and do not affect others."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
import redis

from service.contract.record import Job, JobMetrics, new_job_id
from tests.conftest import Api, api_running
from tests.integration.isolation.parts import at_once, key_of, own_redis
from tests.jobs import OUTPUT, JobStore, new_job, step
from tests.processes import wait_until

MOST = 60
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("waiting")
    settings = {"CINEMO_AUTH": "keys", "CINEMO_MAX_WAITING_CALLS": str(MOST)}
    with own_redis(folder / "redis") as server, api_running(folder, server.port, settings) as api:
        yield api


def begun(api: Api, tenant: str) -> Job:
    """A tenant's running job."""
    store = JobStore(api.redis)
    made = new_job(new_job_id()).model_copy(update={"tenant": tenant})
    store.submissions.create(made)
    while (job := store.attempts.dequeue("animate", "worker")) is not None:
        if job.id == made.id:
            return job
    raise AssertionError("it cannot be taken")


@contextmanager
def streams(api: Api, jobs: list[Job], key: dict[str, str]) -> Iterator[list[httpx.Response]]:
    """Open event streams."""
    with (
        httpx.Client(base_url=api.url, timeout=60, limits=httpx.Limits(max_connections=None)) as http,
        ExitStack() as all,
    ):
        yield [
            all.enter_context(http.stream("GET", f"/jobs/{job.id}/events", headers={**key, **STREAM})) for job in jobs
        ]


def api_connections(client: redis.Redis) -> int:
    return len(client.client_list())


def test_streams_beyond_a_tenants_limit_get_429_and_its_others_continue(front: Api) -> None:
    many, other = key_of(front.redis, "many"), key_of(front.redis, "other")
    jobs, waited = [begun(front, "many") for _ in range(10)], begun(front, "other")
    before = api_connections(front.redis)
    with streams(front, jobs * (MOST // 10), many) as opened:
        assert {each.status_code for each in opened} == {200}
        for refused in (
            httpx.get(f"{front.url}/jobs/{jobs[0].id}/events", headers={**many, **STREAM}, timeout=30),
            httpx.get(f"{front.url}/jobs/{jobs[0].id}?wait=30", headers=many, timeout=30),
            httpx.get(f"{front.url}/jobs/{jobs[0].id}", headers={**many, "Prefer": "wait=30"}, timeout=30),
        ):
            assert (refused.status_code, refused.json()["code"]) == (429, "WAITING.LIMITED"), refused.text
            assert int(refused.headers["retry-after"]) > 0
        answers: list[str] = []

        def wait(number: int) -> None:
            if number == 0:
                wait_until(lambda: api_connections(front.redis) > 0)
                JobStore(front.redis).attempts.succeed(waited, OUTPUT, JobMetrics())
                return
            answer = httpx.get(f"{front.url}/jobs/{waited.id}?wait=50", headers=other, timeout=60)
            answers.append(answer.json().get("status", answer.text))

        at_once(20, wait)
        assert answers == ["succeeded"] * 19
        assert api_connections(front.redis) - before < 40, "the streams share their connections"


def test_slots_are_freed_when_streams_end_or_clients_disconnect(front: Api) -> None:
    key = key_of(front.redis, "leaving")
    job = begun(front, "leaving")
    url = f"{front.url}/jobs/{job.id}"
    for _ in range(2):
        with streams(front, [job] * MOST, key):
            assert httpx.get(f"{url}?wait=1", headers=key, timeout=30).status_code == 429
        wait_until(lambda: httpx.get(f"{url}?wait=1", headers=key, timeout=30).status_code == 200, what="a free place")

    def give_up(number: int) -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{url}?wait=60", headers=key, timeout=2 + number / MOST)

    at_once(MOST, give_up)
    wait_until(lambda: httpx.get(f"{url}?wait=1", headers=key, timeout=30).status_code == 200, 20, "a free place")


def test_a_job_is_accepted_even_if_its_tenant_has_no_slot_to_wait(front: Api, photo: bytes) -> None:
    key = key_of(front.redis, "posting")
    job = begun(front, "posting")
    with streams(front, [job] * MOST, key):
        answer = httpx.post(
            f"{front.url}/animate",
            data={"prompt": "waves"},
            files={"image": photo},
            headers={**key, "Prefer": "wait=30"},
            timeout=20,
        )
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert "preference-applied" not in answer.headers


def test_streams_of_many_jobs_receive_all_events_in_order(front: Api) -> None:
    key = key_of(front.redis, "hearing")
    store = JobStore(front.redis)
    jobs = [begun(front, "hearing") for _ in range(12)]
    heard: dict[int, list[str]] = {}
    with streams(front, jobs * 4, key) as opened:

        def listen(number: int) -> None:
            if number < len(opened):
                lines = opened[number].iter_lines()
                heard[number] = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
                return
            for job in jobs:
                for done in (1, 2, 3):
                    store.attempts.report_progress(job, step(done))
            for job in jobs:
                store.attempts.succeed(job, OUTPUT, JobMetrics())

        at_once(len(opened) + 1, listen)
    reported = ["job.queued", "job.running", "progress", "progress", "progress", "job.succeeded"]
    assert [heard[number] for number in range(48)] == [reported] * 48


def test_a_listener_with_a_future_event_id_does_not_block_others(front: Api) -> None:
    key = key_of(front.redis, "future")
    job = begun(front, "future")
    url = f"{front.url}/jobs/{job.id}/events"
    with (
        httpx.stream("GET", url, headers={**key, **STREAM, "Last-Event-ID": f"{'9' * 15}-0"}, timeout=30) as ahead,
        httpx.stream("GET", url, headers={**key, **STREAM}, timeout=30) as beside,
    ):
        JobStore(front.redis).attempts.succeed(job, OUTPUT, JobMetrics())
        assert "event: job.succeeded" in list(beside.iter_lines())
        assert list(ahead.iter_lines()) == []
