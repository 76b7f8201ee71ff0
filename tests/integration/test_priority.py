"""A tenant's queued jobs run by priority, then by age, and keep their position when they are released."""

import itertools
from typing import Any

import httpx

from service.contract.requests import JobOptions
from tests.conftest import Api
from tests.jobs import JobStore, found, new_job, new_training, retaken


def create(store: JobStore, job_id: str, priority: int, seconds_ago: int = 0) -> None:
    store.submissions.create(new_job(job_id, seconds_ago).model_copy(update={"options": JobOptions(priority=priority)}))


def test_jobs_run_by_priority_and_then_by_age(store: JobStore) -> None:
    create(store, "job_low", -100, seconds_ago=10 * 365 * 86_400)
    create(store, "job_usual", 0, seconds_ago=60)
    create(store, "job_usual_later", 0, seconds_ago=59)
    create(store, "job_high", 100)
    create(store, "job_higher_than_usual", 1)
    line = ["job_high", "job_higher_than_usual", "job_usual", "job_usual_later", "job_low"]
    assert [found(store, job_id).queue_position for job_id in line] == [1, 2, 3, 4, 5]
    assert [retaken(store, job_id).id for job_id in line] == line


def test_jobs_of_equal_priority_are_ordered_by_the_millisecond(store: JobStore) -> None:
    jobs = [new_job(f"job_{number}") for number in (2, 1)]
    for job, later in zip(jobs, itertools.count()):
        created_at = jobs[0].created_at.replace(microsecond=1000 * later)
        store.submissions.create(job.model_copy(update={"created_at": created_at, "options": JobOptions(priority=100)}))
    assert [found(store, job_id).queue_position for job_id in ("job_2", "job_1")] == [1, 2]


def test_a_released_job_keeps_its_position_and_priority(store: JobStore) -> None:
    create(store, "job_high", 5)
    create(store, "job_old", 0, seconds_ago=3600)
    job = retaken(store, "job_high")
    create(store, "job_higher", 6)
    store.attempts.release(job)
    assert [found(store, each).queue_position for each in ("job_higher", "job_high", "job_old")] == [1, 2, 3]


def test_priority_only_orders_a_tenants_own_queue(store: JobStore) -> None:
    """Otherwise the tenant with the highest priorities would starve the others."""
    create(store, "job_mine_1", 100)
    create(store, "job_mine_2", 100)
    store.submissions.create(new_job("job_theirs").model_copy(update={"tenant": "acme"}))
    store.submissions.create(new_training("job_training"))
    taken = [job.id for _ in range(3) if (job := store.attempts.dequeue("animate", "worker"))]
    assert taken.index("job_theirs") < 2


def test_a_request_can_set_the_priority_and_a_rerun_keeps_it(api: Api, photo: bytes) -> None:
    def post(**fields: int) -> dict[str, Any]:
        form = {"prompt": "waves", **{name: str(value) for name, value in fields.items()}}
        answer = httpx.post(f"{api.url}/animate", data=form, files={"image": ("photo.jpg", photo)})
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    usual, high = post(), post(priority=50)
    assert (usual["queue_position"], high["queue_position"]) == (1, 1)
    assert httpx.get(f"{api.url}/jobs/{usual['id']}").json()["queue_position"] == 2
    again = httpx.post(f"{api.url}/jobs/{high['id']}/rerun").json()
    assert (again["priority"], again["queue_position"]) == (50, 2)
