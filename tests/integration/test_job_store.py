"""Job records under contention: every change checks the current state and the attempt that requests it."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest
import redis

from service.contract.problems import ModelDeleted, QuotaReached
from service.contract.record import JobMetrics, Training, TrainingProgress
from service.contract.requests import AnimateRequest
from service.contract.states import JobStatus
from service.store import transitions
from service.store.keys import events_key, job_key
from service.store.queue import wake_up
from service.store.quotas import Limits
from tests.clocks import now_ms
from tests.jobs import LOST, OUTPUT, TIMINGS, JobStore, found, new_job, new_training, retaken, step, taken
from tests.processes import wait_until


def test_a_created_job_is_read_back(store: JobStore) -> None:
    job = new_job()
    store.submissions.create(job)
    assert store.queries.get(job.id) == job.model_copy(update={"queue_position": 1})
    assert store.queries.get("job_unknown") is None


def test_a_record_contains_the_size_of_the_photo(store: JobStore) -> None:
    store.submissions.create(new_job().model_copy(update={"input_size": (600, 400)}))
    assert found(store, "job_1").input_size == (600, 400)


def test_a_record_without_the_field_detail_is_read_as_detail_off(store: JobStore, redis_client: redis.Redis) -> None:
    store.submissions.create(new_job())
    assert request_of(store).detail == "photo"
    fields = json.loads(redis_client.hget(job_key("job_1"), "request") or b"")
    del fields["detail"]
    redis_client.hset(job_key("job_1"), "request", json.dumps(fields))
    assert (request_of(store).detail, request_of(store).factor) == ("off", 1)


def request_of(store: JobStore) -> AnimateRequest:
    request = found(store, "job_1").request
    assert isinstance(request, AnimateRequest)
    return request


def test_only_records_of_ended_jobs_expire(store: JobStore, redis_client: redis.Redis) -> None:
    job = taken(store, new_job())
    assert redis_client.ttl(job_key(job.id)) == -1
    assert found(store, job.id).expires_at is None
    store.attempts.succeed(job, OUTPUT, JobMetrics())
    for key in (job_key(job.id), events_key(job.id)):
        assert 7 * 86_400 - 60 < int(redis_client.ttl(key)) <= 7 * 86_400
    ended = found(store, job.id)
    assert ended.finished_at is not None
    assert ended.expires_at == ended.finished_at + timedelta(days=7)


def test_queued_jobs_have_their_position_in_the_queue(store: JobStore) -> None:
    for age, job_id in ((10, "job_b"), (20, "job_a"), (0, "job_c")):
        store.submissions.create(new_job(job_id, age))
    retaken(store, "job_a")
    places = [job.queue_position for job in map(store.queries.get, ("job_a", "job_b", "job_c")) if job]
    assert places == [None, 1, 2]


def test_a_job_runs_from_the_queue_to_its_output(store: JobStore) -> None:
    job = taken(store, new_job(seconds_ago=3))
    assert (job.status, job.attempt, job.worker) == (JobStatus.RUNNING, 1, "worker")
    assert job.started_at is not None
    assert 3 <= (job.started_at - job.created_at).total_seconds() < 60
    assert store.attempts.report_progress(job, step(1)).happened
    assert store.attempts.succeed(job, OUTPUT, JobMetrics(queue_ms=1, execution_ms=2, gpu_ms=3)).happened
    ended = found(store, "job_1")
    assert (ended.status, ended.output) == (JobStatus.SUCCEEDED, OUTPUT)
    assert ended.progress is not None
    assert ended.progress.fraction == 0.25
    assert ended.finished_at is not None


def test_of_many_workers_that_dequeue_one_gets_the_job(store: JobStore) -> None:
    store.submissions.create(new_job())
    with ThreadPoolExecutor(16) as pool:
        tries = list(pool.map(lambda number: store.attempts.dequeue("animate", f"worker-{number}"), range(32)))
    winners = [job for job in tries if job is not None]
    assert len(winners) == 1
    assert winners[0].attempt == 1


def test_an_attempt_that_does_not_hold_the_job_changes_nothing(store: JobStore) -> None:
    job = taken(store, new_job())
    before = store.queries.get("job_1")
    for attempt in (0, 2, 7):
        other = job.model_copy(update={"attempt": attempt})
        assert not store.attempts.report_progress(other, step(1)).happened
        assert not store.attempts.succeed(other, OUTPUT, JobMetrics()).happened
        assert not store.attempts.fail(other, LOST).happened
        assert not store.attempts.release(other).happened
        assert store.attempts.renew(other) is None
    assert store.queries.get("job_1") == before


def test_an_ended_job_never_changes(store: JobStore) -> None:
    job = taken(store, new_job())
    assert store.attempts.fail(job, LOST).happened
    before = store.queries.get("job_1")
    assert store.attempts.dequeue("animate", "worker") is None
    assert not store.attempts.succeed(job, OUTPUT, JobMetrics()).happened
    assert not store.attempts.report_progress(job, step(2)).happened
    assert not store.cancel(job).happened
    assert not store.attempts.release(job).happened
    assert store.queries.get("job_1") == before


def test_a_queued_job_is_canceled_immediately(store: JobStore) -> None:
    job = new_job()
    store.submissions.create(job)
    assert store.cancel(job).status is JobStatus.CANCELED
    assert store.attempts.dequeue("animate", "worker") is None
    ended = found(store, job.id)
    assert (ended.queue_position, ended.finished_at is None) == (None, False)


def test_a_canceling_job_can_only_end(store: JobStore) -> None:
    job = taken(store, new_job())
    assert store.cancel(job).status is JobStatus.CANCELING
    assert store.cancel(job).status is JobStatus.CANCELING
    assert found(store, job.id).finished_at is None
    assert store.attempts.renew(job) is JobStatus.CANCELING
    refused = store.attempts.report_progress(job, step(1))
    assert (refused.happened, refused.status) == (False, JobStatus.CANCELING)
    assert store.attempts.succeed(job, OUTPUT, JobMetrics()).status is JobStatus.CANCELED
    ended = found(store, job.id)
    assert (ended.status, ended.output, ended.error) == (JobStatus.CANCELED, None, None)


def test_a_released_job_returns_to_its_position_without_counting_a_loss(store: JobStore) -> None:
    job = taken(store, new_job("job_old", seconds_ago=60))
    store.submissions.create(new_job("job_new"))
    assert store.attempts.release(job).status is JobStatus.QUEUED
    assert found(store, "job_old").queue_position == 1
    again = retaken(store, "job_old")
    assert (again.attempt, again.losses) == (2, 0)
    assert again.started_at == job.started_at


def test_each_kind_has_its_own_queue(store: JobStore) -> None:
    for job in (new_job("job_1"), new_training("job_2"), new_job("job_3")):
        store.submissions.create(job)
    assert [found(store, name).queue_position for name in ("job_1", "job_2", "job_3")] == [1, 1, 2]


def test_the_message_for_the_workers_is_sent_once_with_the_record(store: JobStore, redis_client: redis.Redis) -> None:
    sent = wake_up("job_1", "animate")
    for _ in range(2):
        store.submissions.create(new_job(), wake_up=sent)
    assert redis_client.lrange("animate", 0, -1) == [sent["message"].encode()]


def test_a_refused_job_sends_no_message(redis_client: redis.Redis) -> None:
    store = JobStore(redis_client, limits=Limits(records=1))
    store.submissions.create(new_job())
    with pytest.raises(QuotaReached):
        store.submissions.create(new_job("job_2"), wake_up=wake_up("job_2", "animate"))
    assert redis_client.llen("animate") == 0


def test_workers_are_notified_again_of_queued_jobs_at_growing_intervals(redis_client: redis.Redis) -> None:
    store = JobStore(redis_client, replace(TIMINGS, wakeup=0.05))
    store.submissions.create(new_training())
    store.submissions.create(new_job())
    wait_until(lambda: len(redis_client.zrangebyscore("{cinemo}:jobs:hints", 0, now_ms(redis_client))) == 2, 10)
    assert sorted(store.recovery.due_wakeups()) == [("job_1", "animate"), ("job_t", "train")]
    assert store.recovery.due_wakeups() == []
    retaken(store, "job_1")
    wait_until(lambda: bool(redis_client.zrangebyscore("{cinemo}:jobs:hints", 0, now_ms(redis_client))), 10)
    assert store.recovery.due_wakeups() == [("job_t", "train")]


def test_events_continue_after_the_last_one_seen(store: JobStore) -> None:
    job = taken(store, new_training())
    store.attempts.report_progress(job, step(1))
    figures: dict[str, Any] = {"loss": 0.5, "learning_rate": 1e-4, "clips_per_second": 3, "waiting_share": 0}
    store.attempts.report_progress(job, TrainingProgress(**step(2).model_dump(), **figures))
    store.attempts.report_training(job, Training(), "sample", {"step": 2})
    store.attempts.fail(job, LOST)
    events = store.queries.events(job.id)
    kinds = ["job.queued", "job.running", "progress", "progress", "sample", "job.failed"]
    assert [event.type for event in events] == kinds
    assert events[3].data["loss"] == 0.5
    assert events[5].data["code"] == "WORKER.LOST"
    assert [event.type for event in store.queries.events(job.id, events[3].id)] == kinds[4:]
    assert isinstance(found(store, job.id).progress, TrainingProgress)


def test_a_model_in_use_is_not_deleted_and_a_deleted_one_not_used(store: JobStore) -> None:
    job = new_training()
    store.submissions.create(job)
    assert not store.models.delete(job.tenant, job.model)
    store.cancel(job)
    assert store.models.delete(job.tenant, job.model)
    with pytest.raises(ModelDeleted):
        store.submissions.create(new_training("job_late"))
    assert store.queries.get("job_late") is None
    running = taken(store, new_job("job_publishing"))
    with store.models.publishing(running, job.model):
        assert not store.models.delete(job.tenant, job.model), "it is being published"
        store.submissions.create(new_training("job_later"))
        store.cancel(found(store, "job_later"))
    assert store.models.delete(job.tenant, job.model)


def test_a_training_that_died_while_publishing_does_not_prevent_a_models_deletion(store: JobStore) -> None:
    running = taken(store, new_training())
    with pytest.raises(ZeroDivisionError), store.models.publishing(running, "waves@0123456789ab"):
        raise ZeroDivisionError
    assert not store.models.delete(running.tenant, "waves@0123456789ab")
    store.attempts.fail(running, LOST)
    assert store.models.delete(running.tenant, "waves@0123456789ab")


def test_an_existing_id_is_not_overwritten(store: JobStore) -> None:
    taken(store, new_job())
    before = store.queries.get("job_1")
    store.submissions.create(new_job())
    assert store.queries.get("job_1") == before


def test_a_worker_whose_clock_is_wrong_does_not_lose_the_record(
    store: JobStore, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        """A clock that is wrong, as after a start without battery."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls(1970, 1, 1, tzinfo=tz)

    job = taken(store, new_job())
    monkeypatch.setattr(transitions, "datetime", Clock)
    assert store.attempts.succeed(job, OUTPUT, JobMetrics()).happened
    assert redis_client.ttl(f"{{cinemo}}:job:{job.id}") > 86_400
    assert redis_client.ttl(f"{{cinemo}}:events:{job.id}") > 86_400
