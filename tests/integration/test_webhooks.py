"""What receivers hear of a job, however they and the senders fail."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.jobs.failures import INTERNAL
from service.jobs.keys import WEBHOOK_NAMES, WEBHOOKS, job_key, secrets_key
from service.jobs.model import Job, JobMetrics, new_job_id
from service.jobs.requests import JobOptions
from service.jobs.store import JobStore, Times
from service.webhooks.endpoints import EndpointStore
from service.webhooks.model import DeliveryStatus
from service.webhooks.outbox import Outbox
from service.webhooks.send import RETRY_SECONDS
from tests.clocks import Clock
from tests.jobs import OUTPUT, new_job, new_training, step
from tests.receiver import ALL_EVENTS, Received, Receiver, receiving
from tests.settings import settings_for
from worker.deliver import Deliverer, make_deliverer

BROKEN = INTERNAL.error("it broke")


@dataclass(frozen=True)
class Post:
    """Jobs, and a sender of their webhooks that works when it is told to."""

    jobs: JobStore
    endpoints: EndpointStore
    outbox: Outbox
    deliverer: Deliverer
    clock: Clock

    def begun(self, url: str, **about: Any) -> Job:
        """A running job that tells a URL of all that happens."""
        self.jobs.create(job_for(url, **about))
        taken = self.jobs.take("animate", "worker")
        assert taken is not None
        return taken

    def ended(self, url: str, **about: Any) -> Job:
        """A job that has succeeded and tells a URL of that."""
        options = JobOptions(webhook_url=url)
        job = self.begun(url, options=options, **about)
        assert self.jobs.succeed(job, OUTPUT, JobMetrics()).happened
        return job

    def deliver(self) -> None:
        """Send until nothing is due."""
        while self.deliverer.round():
            pass

    def wait(self, seconds: float) -> None:
        """Let time pass, and send what is due then."""
        self.clock.ahead += seconds
        self.deliver()


def job_for(url: str, **about: Any) -> Job:
    options = JobOptions(webhook_url=url, webhook_events=ALL_EVENTS)
    return new_job(new_job_id()).model_copy(update={"options": options, **about})


@pytest.fixture
def post(redis_port: int, redis_client: redis.Redis, tmp_path: Path) -> Post:
    clock = Clock()
    made = make_deliverer(settings_for(redis_port, tmp_path))
    outbox = Outbox(redis_client, clock)
    return Post(
        JobStore(redis_client), EndpointStore(redis_client), outbox, replace(made, outbox=outbox, at_once=8), clock
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda jobs, job: jobs.succeed(job, OUTPUT, JobMetrics()), "job.succeeded"),
        (lambda jobs, job: jobs.fail(job, BROKEN), "job.failed"),
        (lambda jobs, job: (jobs.cancel(job), jobs.release(job)), "job.canceled"),
    ],
)
def test_a_receiver_hears_that_a_job_runs_and_how_it_ended(post: Post, receiver: Receiver, end: Any, told: str) -> None:
    job = post.begun(receiver.url)
    post.jobs.report_progress(job, step(1))
    end(post.jobs, job)
    post.deliver()
    assert receiver.types == ["job.running", told]
    for received in receiver.received:
        message = Webhook(post.endpoints.secrets(job.tenant)[0]).verify(received.body, received.headers)
        assert message["data"]["id"] == job.id
        assert f"job.{message['data']['status']}" == message["type"]
        assert datetime.fromisoformat(message["timestamp"]).tzinfo is not None
    assert receiver.received[1].message["data"]["finished_at"] is not None


def test_a_job_canceled_while_it_waits_is_told_of(post: Post, receiver: Receiver) -> None:
    job = job_for(receiver.url)
    post.jobs.create(job)
    post.jobs.cancel(job)
    post.deliver()
    assert receiver.types == ["job.canceled"]


def test_the_message_is_the_job_with_urls_that_can_be_downloaded(post: Post, receiver: Receiver) -> None:
    post.ended(receiver.url)
    post.deliver()
    data = receiver.received[0].message["data"]
    assert data["output"]["video"]["url"].startswith("http://cinemo.test/files/")
    assert "key" not in data["output"]["video"]
    assert data["urls"]["self"] == f"http://cinemo.test/jobs/{data['id']}"
    assert receiver.received[0].headers["content-type"] == "application/json"


def test_a_training_is_told_of_as_well(post: Post, receiver: Receiver) -> None:
    post.endpoints.add("default", receiver.url)
    training = new_training(new_job_id())
    post.jobs.create(training)
    taken = post.jobs.take("train", "worker")
    assert taken is not None
    post.jobs.fail(taken, BROKEN)
    post.deliver()
    assert receiver.received[0].message["data"]["kind"] == "train"


def test_only_the_events_asked_for_are_sent(post: Post, receiver: Receiver, other: Receiver) -> None:
    post.endpoints.add("default", other.url, ["job.failed"])
    post.ended(receiver.url)
    post.deliver()
    assert (receiver.types, other.types) == (["job.succeeded"], [])


def test_each_endpoint_of_the_tenant_hears_and_no_other_tenants(
    post: Post, receiver: Receiver, other: Receiver
) -> None:
    post.endpoints.add("acme", receiver.url)
    post.endpoints.add("other", other.url)
    job = new_job(new_job_id()).model_copy(update={"tenant": "acme"})
    post.jobs.create(job)
    post.jobs.cancel(job)
    post.deliver()
    assert (receiver.types, other.types) == (["job.canceled"], [])


def test_an_endpoint_that_a_job_names_too_hears_once(post: Post, receiver: Receiver) -> None:
    post.endpoints.add("default", receiver.url)
    post.ended(receiver.url)
    post.deliver()
    assert receiver.types == ["job.succeeded"]


def test_a_removed_endpoint_hears_nothing_more(post: Post, receiver: Receiver, other: Receiver) -> None:
    endpoint = post.endpoints.add("default", receiver.url)
    job = post.ended(other.url)
    assert post.endpoints.remove("default", endpoint.id)
    post.ended(other.url)
    post.deliver()
    assert (len(receiver.received), len(other.received)) == (0, 2)
    assert {each.status for each in post.outbox.of_job(job.id)} == {DeliveryStatus.STOPPED, DeliveryStatus.DELIVERED}


def test_a_failed_attempt_is_made_again_under_the_same_id(post: Post, receiver: Receiver) -> None:
    receiver.answers(500)
    job = post.ended(receiver.url)
    post.deliver()
    post.wait(4)
    assert len(receiver.received) == 1
    receiver.answers(200)
    post.wait(2)
    post.wait(100_000)
    assert len(receiver.received) == 2
    assert len(set(receiver.ids)) == 1
    [delivery] = post.outbox.of_job(job.id)
    assert [attempt.status for attempt in delivery.attempts] == [500, 200]
    assert (delivery.status, delivery.next_attempt_at) == (DeliveryStatus.DELIVERED, None)
    assert [attempt.error for attempt in delivery.attempts] == ["answered 500", None]


def test_a_dead_receiver_is_tried_by_the_schedule_and_given_up(post: Post, receiver: Receiver) -> None:
    receiver.answers(503)
    job = post.ended(receiver.url)
    post.deliver()
    for made, delay in enumerate(RETRY_SECONDS, start=1):
        [delivery] = post.outbox.of_job(job.id)
        due = delivery.next_attempt_at
        assert due is not None
        assert delay <= (due - delivery.attempts[-1].at).total_seconds() <= 1.1 * delay + 1
        post.clock.ahead = due.timestamp() - time.time() - 3
        post.deliver()
        assert len(receiver.received) == made
        post.wait(3)
        assert len(receiver.received) == made + 1
    assert post.outbox.of_job(job.id)[0].status is DeliveryStatus.FAILED
    post.wait(10 * 86_400)
    assert len(receiver.received) == 10
    found = post.jobs.get(job.id)
    assert found is not None
    assert found.status == "succeeded"


def test_410_stops_an_endpoint_and_what_waits_for_it(post: Post, receiver: Receiver, other: Receiver) -> None:
    endpoint = post.endpoints.add("default", receiver.url)
    receiver.answers(410)
    for _ in range(3):
        post.ended(other.url)
    post.deliver()
    assert (len(receiver.received), len(other.received)) == (1, 3)
    assert [each.enabled for each in post.endpoints.of_tenant("default")] == [False]
    post.ended(other.url)
    post.wait(100_000)
    assert len(receiver.received) == 1
    assert post.endpoints.enable("default", endpoint.id)
    receiver.answers(200)
    post.ended(other.url)
    post.deliver()
    assert len(receiver.received) == 2


def test_410_for_a_jobs_own_url_ends_that_delivery_alone(post: Post, receiver: Receiver) -> None:
    receiver.answers(410)
    job = post.ended(receiver.url)
    post.wait(0)
    post.wait(100_000)
    assert len(receiver.received) == 1
    assert post.outbox.of_job(job.id)[0].status is DeliveryStatus.STOPPED
    receiver.answers(200)
    post.ended(receiver.url)
    post.deliver()
    assert len(receiver.received) == 2


def test_a_receiver_that_asks_for_time_gets_it_from_every_delivery(post: Post, receiver: Receiver) -> None:
    receiver.answers(429, retry_after="1000")
    for _ in range(3):
        post.ended(receiver.url)
    post.deliver()
    post.wait(990)
    assert len(receiver.received) == 1
    receiver.answers(200)
    post.wait(20)
    assert len(receiver.received) == 4


def test_a_redirect_is_a_failure_and_is_not_followed(post: Post, receiver: Receiver, other: Receiver) -> None:
    receiver.answers(307, location=other.url)
    job = post.ended(receiver.url)
    post.deliver()
    assert (len(receiver.received), len(other.received)) == (1, 0)
    [attempt] = post.outbox.of_job(job.id)[0].attempts
    assert (attempt.status, attempt.error) == (307, "answered 307; redirects are not followed")


def test_a_receiver_that_does_not_answer_in_time_is_tried_again(post: Post, receiver: Receiver) -> None:
    deliverer = replace(post.deliverer, sender=replace(post.deliverer.sender, timeout_seconds=0.3))

    def dawdle(received: Received) -> tuple[int, dict[str, str]]:
        time.sleep(1)
        return 200, {}

    receiver.answer = dawdle
    job = post.ended(receiver.url)
    assert deliverer.round() == 1
    [delivery] = post.outbox.of_job(job.id)
    assert delivery.attempts[0].status is None
    assert delivery.attempts[0].error
    assert delivery.attempts[0].latency_ms >= 300
    receiver.answers(200)
    post.wait(6)
    assert len(set(receiver.ids)) == 1
    assert post.outbox.of_job(job.id)[0].status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://169.254.169.254/latest", "http://nowhere.invalid/"])
def test_what_cannot_be_reached_is_told_in_the_log_and_tried_again(post: Post, url: str) -> None:
    job = post.ended(url)
    post.deliver()
    [delivery] = post.outbox.of_job(job.id)
    assert delivery.status is DeliveryStatus.PENDING
    assert delivery.next_attempt_at is not None
    assert delivery.attempts[0].error
    found = post.jobs.get(job.id)
    assert found is not None
    assert found.status == "succeeded"


def test_the_end_waits_until_the_receiver_has_heard_of_the_beginning(post: Post, receiver: Receiver) -> None:
    receiver.answers(500)
    job = post.begun(receiver.url)
    post.deliver()
    post.jobs.succeed(job, OUTPUT, JobMetrics())
    post.deliver()
    assert receiver.types == ["job.running"]
    receiver.answers(200)
    post.wait(6)
    assert receiver.types == ["job.running", "job.running", "job.succeeded"]
    late = receiver.received[1].message["data"]
    assert (late["status"], late["finished_at"], late["output"]) == ("running", None, None)


def test_the_end_is_told_where_the_beginning_was_given_up(post: Post, receiver: Receiver) -> None:
    receiver.answers(500)
    job = post.begun(receiver.url)
    post.jobs.succeed(job, OUTPUT, JobMetrics())
    for _ in range(10):
        post.wait(100_000)
    assert receiver.types == ["job.running"] * 10
    receiver.answers(200)
    post.wait(600)
    assert receiver.types[10:] == ["job.succeeded"]


def test_a_job_that_begins_again_is_not_told_of_again(post: Post, receiver: Receiver) -> None:
    job = post.begun(receiver.url)
    post.deliver()
    post.jobs.release(job)
    assert post.jobs.take("animate", "another") is not None
    post.deliver()
    assert receiver.types == ["job.running"]


def test_a_dead_receiver_is_not_hammered_by_its_many_deliveries(post: Post, receiver: Receiver) -> None:
    receiver.answers(500)
    jobs = [post.ended(receiver.url) for _ in range(100)]
    post.deliver()
    assert len(receiver.received) == 1
    for seconds, tried in ((4, 1), (2, 2), (28, 2), (3, 3), (119, 3), (2, 4), (299, 4), (2, 5)):
        post.wait(seconds)
        assert len(receiver.received) == tried
    receiver.answers(200)
    post.wait(301)
    # Those that failed have schedules of their own; no attempt was counted against the others.
    waiting = [each for job in jobs for each in post.outbox.of_job(job.id) if each.status is DeliveryStatus.PENDING]
    assert len(waiting) <= 5
    post.wait(4000)
    assert len(set(receiver.ids)) == 100
    assert len(receiver.received) == 105
    assert all(post.outbox.of_job(job.id)[0].status is DeliveryStatus.DELIVERED for job in jobs)


def test_urls_that_differ_in_their_query_are_one_receiver(post: Post, receiver: Receiver) -> None:
    receiver.answers(500)
    for number in range(5):
        post.ended(f"{receiver.url}?job={number}")
    post.deliver()
    assert len(receiver.received) == 1


def test_secrets_are_rotated_without_a_gap(post: Post, receiver: Receiver) -> None:
    [old] = post.endpoints.secrets("default")
    new = post.endpoints.rotate("default", overlap_seconds=3600)
    post.ended(receiver.url)
    post.deliver()
    received = receiver.received[0]
    for secret in (old, new):
        Webhook(secret).verify(received.body, received.headers)
    later = datetime.now(UTC) + timedelta(seconds=3601)
    assert post.endpoints.secrets("default", later) == [new]
    post.endpoints.rotate("default", overlap_seconds=0)
    post.ended(receiver.url)
    post.deliver()
    for secret in (old, new):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(receiver.received[1].body, receiver.received[1].headers)


def test_a_change_and_its_webhooks_are_one_step(post: Post, receiver: Receiver, redis_client: redis.Redis) -> None:
    post.ended(receiver.url)
    job = post.begun(receiver.url)
    assert [each.type for each in post.outbox.of_job(job.id)] == ["job.running"]
    before = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"]
    post.jobs.succeed(job, OUTPUT, JobMetrics())
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1
    assert [each.type for each in post.outbox.of_job(job.id)] == ["job.running", "job.succeeded"]


def test_a_change_that_is_refused_is_not_told_of(post: Post, receiver: Receiver) -> None:
    job = post.begun(receiver.url)
    assert not post.jobs.succeed(job.model_copy(update={"attempt": 7}), OUTPUT, JobMetrics()).happened
    assert len(post.outbox.of_job(job.id)) == 1


def test_what_was_claimed_by_a_sender_that_died_is_sent_by_another(post: Post, receiver: Receiver) -> None:
    job = post.ended(receiver.url)
    [claimed] = post.outbox.claim(8)
    post.deliver()
    assert receiver.received == []
    post.wait(61)
    assert receiver.ids == [claimed.id]
    # The first one comes back after all, and fails: that changes nothing.
    receiver.answers(500)
    post.deliverer.deliver(claimed)
    post.wait(100_000)
    [delivery] = post.outbox.of_job(job.id)
    assert (delivery.status, len(delivery.attempts), set(receiver.ids)) == ("delivered", 2, {claimed.id})


def test_deliveries_go_with_their_jobs_record(redis_client: redis.Redis, post: Post, receiver: Receiver) -> None:
    short = replace(post, jobs=JobStore(redis_client, Times(retention=60)))
    receiver.answers(500)
    job = short.ended(receiver.url)
    short.deliver()
    [delivery] = post.outbox.of_job(job.id)
    ended = [job_key(job.id), WEBHOOK_NAMES["delivery"] + delivery.id, WEBHOOK_NAMES["of_job"] + job.id]
    for key in (*ended, WEBHOOK_NAMES["of_tenant"] + "default"):
        assert 0 < int(redis_client.ttl(key)) <= 60
    # As if the time had passed.
    redis_client.delete(*ended, f"{WEBHOOK_NAMES['line']}{job.id}:{delivery.receiver}")
    post.wait(6)
    assert len(receiver.received) == 1
    kept = {WEBHOOK_NAMES["receiver"] + delivery.receiver, WEBHOOK_NAMES["of_tenant"] + "default"}
    left = {*kept, secrets_key("default")}
    assert set(redis_client.keys(f"{WEBHOOKS}*")) == {key.encode() for key in left}
    post.ended(receiver.url)
    assert redis_client.zcard(WEBHOOK_NAMES["of_tenant"] + "default") == 1


def test_a_receiver_that_was_away_for_ten_minutes_hears_all_in_each_jobs_order(post: Post, receiver: Receiver) -> None:
    receiver.answers(502)
    jobs = [post.begun(receiver.url) for _ in range(20)]
    for job in jobs:
        post.jobs.succeed(job, OUTPUT, JobMetrics())
    for _ in range(20):
        post.wait(30)
    failed = len(receiver.received)
    receiver.answers(200)
    for _ in range(20):
        post.wait(200)
    heard = receiver.received[failed:]
    assert len({each.id for each in heard}) == len(heard) == 40
    for job in jobs:
        assert [each.type for each in heard if each.message["data"]["id"] == job.id] == ["job.running", "job.succeeded"]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_fails_and_in_whatever_order_nothing_is_lost_or_told_out_of_order(
    post: Post, receiver: Receiver, seed: int
) -> None:
    """Jobs, receivers that come and go, senders that die before or after they send; drawn from the seed."""
    draw = random.Random(seed)
    urls = [f"{receiver.url}/{number}" for number in range(4)]
    away: set[str] = set()

    def answer(received: Received) -> tuple[int, dict[str, str]]:
        return (draw.choice((301, 404, 500)) if received.path.removeprefix("/hook/") in away else 200), {}

    receiver.answer = answer
    begun: list[Job] = []
    made: list[Job] = []
    for _ in range(250):
        action = draw.choice(("begin", "end", "come and go", "send", "send", "die", "die late", "wait"))
        if action == "begin":
            made.append(post.begun(draw.choice(urls)))
            begun.append(made[-1])
        elif action == "end" and begun:
            post.jobs.succeed(begun.pop(draw.randrange(len(begun))), OUTPUT, JobMetrics())
        elif action == "come and go":
            away ^= {str(draw.randrange(4))}
        elif action == "send":
            post.deliverer.round()
        elif action == "die":
            post.outbox.claim(2)
        elif action == "die late":
            for delivery in post.outbox.claim(2):
                post.deliverer.sender.send(delivery, post.clock())
        else:
            post.clock.ahead += draw.choice((1, 70, 400))
    for job in begun:
        post.jobs.succeed(job, OUTPUT, JobMetrics())
    away.clear()
    for _ in range(40):
        post.wait(3600)
    for job in made:
        deliveries = post.outbox.of_job(job.id)
        assert [(each.type, each.status) for each in deliveries] == [
            ("job.running", DeliveryStatus.DELIVERED),
            ("job.succeeded", DeliveryStatus.DELIVERED),
        ]
        heard = [each.id for each in receiver.received if each.message["data"]["id"] == job.id]
        running, succeeded = (each.id for each in deliveries)
        assert set(heard) == {running, succeeded}
        assert heard == sorted(heard, key=[running, succeeded].index)
