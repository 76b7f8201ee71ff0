"""An API with a wrong clock: its jobs are queued, listed and expire by Redis' clock, like all others."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Api, api_running
from tests.integration.isolation.parts import own_redis
from tests.jobs import JobStore

HOURS = {"right": 0, "ahead": 2, "behind": -25}
WRONG_CLOCK = """
import datetime, os, time
ahead = float(os.environ["HOURS_AHEAD"]) * 3600
now, now_ns = time.time, time.time_ns
time.time = lambda: now() + ahead
time.time_ns = lambda: now_ns() + int(ahead * 1e9)
class Moment(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
datetime.datetime = Moment
"""


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Api]]:
    """APIs over one Redis and one storage, by the error of their clocks."""
    folder = tmp_path_factory.mktemp("clocks")
    (folder / "sitecustomize.py").write_text(WRONG_CLOCK)
    with ExitStack() as stack:
        server = stack.enter_context(own_redis(folder / "redis"))
        yield {
            name: stack.enter_context(api_running(own_folder(folder, name), server.port, variables(folder, hours)))
            for name, hours in HOURS.items()
        }


def own_folder(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def variables(folder: Path, hours: int) -> dict[str, str]:
    storage = {"CINEMO_STORAGE_URL": f"file://{folder / 'storage'}"}
    return {**storage, **({"PYTHONPATH": str(folder), "HOURS_AHEAD": str(hours)} if hours else {})}


def animate(api: Api, photo: bytes) -> dict[str, Any]:
    form: dict[str, Any] = {"data": {"prompt": "waves"}, "files": {"image": photo}}
    job: dict[str, Any] = httpx.post(f"{api.url}/animate", timeout=30, **form).raise_for_status().json()
    return job


def test_jobs_are_dequeued_and_listed_in_order_of_arrival(apis: dict[str, Api], photo: bytes) -> None:
    right = apis["right"]
    right.redis.flushall()
    made = [animate(apis[name], photo) for name in ("ahead", "right", "behind", "ahead", "right", "behind")]
    reran = [httpx.post(f"{apis[name].url}/jobs/{made[0]['id']}/rerun").json() for name in ("ahead", "behind")]
    ids = [job["id"] for job in (*made, *reran)]
    listed = httpx.get(f"{right.url}/jobs").json()["jobs"]
    assert [job["id"] for job in listed] == ids[::-1]
    since = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    assert len(httpx.get(f"{right.url}/jobs", params={"created_after": since}).json()["jobs"]) == len(ids)
    store = JobStore(right.redis)
    taken = [store.attempts.dequeue("animate", "worker") for _ in ids]
    assert [job.id for job in taken if job] == ids
    for job in taken:
        assert job is not None
        assert abs(job.created_at - datetime.now(UTC)) < timedelta(minutes=10)


def test_a_released_job_keeps_its_place_whatever_the_clock_of_its_api(apis: dict[str, Api], photo: bytes) -> None:
    right = apis["right"]
    right.redis.flushall()
    ids = [animate(apis[name], photo)["id"] for name in ("ahead", "behind")]
    store = JobStore(right.redis)
    first = store.attempts.dequeue("animate", "worker")
    assert first is not None
    store.attempts.release(first)
    again = store.attempts.dequeue("animate", "worker")
    assert again is not None
    assert again.id == first.id == ids[0]


@pytest.mark.parametrize(("sent", "used"), [("behind", "right"), ("right", "ahead"), ("ahead", "behind")])
def test_an_upload_is_usable_until_it_expires_whatever_the_clock_of_the_api(
    apis: dict[str, Api], photo: bytes, sent: str, used: str
) -> None:
    upload = httpx.post(f"{apis[sent].url}/uploads", content=photo).raise_for_status().json()
    answer = httpx.post(f"{apis[used].url}/animate", json={"prompt": "waves", "upload_id": upload["id"]}, timeout=30)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("asked", ["ahead", "behind"])
def test_redelivery_until_now_uses_redis_clock(apis: dict[str, Api], photo: bytes, asked: str) -> None:
    right = apis["right"]
    right.redis.flushall()
    hook = {"webhook_url": "https://example.com/hook", "webhook_events": ["job.canceled"]}
    form: dict[str, Any] = {"prompt": "waves", **hook}
    upload = httpx.post(f"{right.url}/uploads", content=photo).json()["id"]
    job = httpx.post(f"{right.url}/animate", json={**form, "upload_id": upload}, timeout=30).json()
    httpx.post(f"{right.url}/jobs/{job['id']}/cancel").raise_for_status()
    since = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    answer = httpx.post(f"{apis[asked].url}/webhooks/redeliver", json={"after": since}, timeout=30)
    assert answer.json() == {"redelivered": 1}, answer.text
