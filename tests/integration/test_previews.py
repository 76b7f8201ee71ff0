"""A client can see previews of its video only while the model runs, and nobody else can."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from PIL import Image, ImageSequence

from cinemo_spec.marking.statement import SourceType
from service.contract.record import Job, JobMetrics
from service.contract.states import HELD
from service.store.connections import connect
from service.store.keys import LEASES
from tests.integration.conftest import Service
from tests.jobs import LOST, OUTPUT, JobStore, found, new_job, taken

STEPS = 40
"""They take long enough for a preview, however slow the machine is."""


def events(service: Service, job_id: str) -> Iterator[tuple[str, Any]]:
    """A job's events as they happen, until it ends."""
    with service.http.stream("GET", f"/jobs/{job_id}/events", headers={"Accept": "text/event-stream"}) as response:
        kind = ""
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            kind = value if name == "event" else kind
            if name == "data":
                yield kind, value


def redis_keys(service: Service) -> list[bytes]:
    client = connect(service.stack.environment["CINEMO_REDIS_URL"])
    return list(client.scan_iter("{cinemo}:preview:*"))


def test_a_running_job_has_previews_which_are_deleted_when_it_ends(service: Service, photo: bytes) -> None:
    job = service.animate(photo, num_inference_steps=STEPS, preview="true", reuse="false", seed=7001)
    pictures: list[bytes] = []
    steps = []
    for kind, data in events(service, job["id"]):
        if kind == "preview":
            answer = service.http.get(f"/jobs/{job['id']}/preview")
            steps.append(data)
            if answer.status_code == 200:
                assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/webp", "no-store")
                pictures.append(answer.content)
    told = service.http.get(f"/jobs/{job['id']}/events").json()["events"]
    previews = [each["data"] for each in told if each["type"] == "preview"]
    after = [each["step"] for each in previews]
    assert after == sorted({8, 16, 24, 32} & set(after)), "evenly spaced, but for those that would take too long"
    assert {each["steps"] for each in previews} == {STEPS}
    assert previews[0]["url"] == f"{job['urls']['self']}/preview"
    assert 1 <= len(steps) == len(previews) <= 4
    assert pictures, "the job ended before any could be looked at"
    with Image.open(io.BytesIO(pictures[-1])) as picture:
        frames = [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(picture)]
        assert (picture.size, len(frames)) == ((96, 64), 8)
        assert SourceType.CREATED.url.encode() in picture.info["xmp"]
    assert len(set(frames)) > 1, "it moves"
    ended = service.wait_for(job["id"])
    assert (ended["status"], ended["preview"]) == ("succeeded", True)
    assert service.http.get(f"/jobs/{job['id']}/preview").status_code == 404
    assert not redis_keys(service)


def test_there_are_no_previews_unless_requested(service: Service, photo: bytes) -> None:
    job = service.wait_for(service.animate(photo, num_inference_steps=4, reuse="false", seed=7002)["id"])
    told = service.http.get(f"/jobs/{job['id']}/events").json()["events"]
    assert "preview" not in {each["type"] for each in told}


def test_previews_do_not_change_the_result(service: Service, photo: bytes) -> None:
    plain = service.wait_for(service.animate(photo, num_inference_steps=4, seed=7003)["id"])
    shown = service.wait_for(service.animate(photo, num_inference_steps=4, seed=7003, preview="true")["id"])
    assert shown["reused_from"] == plain["id"], "an equal request, however it is looked at"


def test_an_attempt_that_lost_its_lease_replaces_no_preview(store: JobStore) -> None:
    running, previews = taken(store, new_job()), store.previews
    assert previews.put(running, b"new", {"step": 1})
    late = running.model_copy(update={"attempt": running.attempt - 1})
    assert not previews.put(late, b"old", {"step": 9})
    assert previews.get(running) == b"new"


def lapse(store: JobStore, client: redis.Redis, job: Job) -> None:
    """Its worker dies, and the reaper notices."""
    client.zadd(LEASES, {job.id: 1})
    store.recovery.reap(job.id)


def lapse_canceled(store: JobStore, client: redis.Redis, job: Job) -> None:
    store.cancel(job)
    lapse(store, client, job)


def lapse_expired(store: JobStore, client: redis.Redis, job: Job) -> None:
    store.recovery.expire(job.id)
    lapse(store, client, job)


ENDS: dict[str, Callable[[JobStore, redis.Redis, Job], object]] = {
    "it succeeds": lambda store, _, job: store.attempts.succeed(job, OUTPUT, JobMetrics()),
    "it fails": lambda store, _, job: store.attempts.fail(job, LOST),
    "its worker returns it to the queue": lambda store, _, job: store.attempts.release(job),
    "its worker gives it up": lambda store, _, job: store.attempts.lose(job, LOST),
    "its worker dies": lapse,
    "its worker dies after its cancellation": lapse_canceled,
    "its worker dies after its deadline": lapse_expired,
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("max_losses", [1, 3])
def test_a_preview_is_deleted_in_the_step_that_ends_its_attempt(
    redis_client: redis.Redis, how: str, max_losses: int
) -> None:
    store = JobStore(redis_client, max_losses=max_losses)
    running = taken(store, new_job())
    assert store.previews.put(running, b"picture", {"step": 1})
    ENDS[how](store, redis_client, running)
    assert found(store, running.id).status not in HELD
    assert not list(redis_client.scan_iter(f"*preview:{running.id}*"))
    assert not store.previews.put(running, b"late", {"step": 2})
