"""A receiver gets a job's webhooks in order, whatever fails in between."""

import random

import pytest

from service.contract.deliveries import DeliveryStatus
from service.contract.record import Job, JobMetrics
from tests.integration.webhooks.post import Post, deliver_due
from tests.jobs import OUTPUT
from tests.receiver import Received, Receiver


def test_a_jobs_webhooks_are_delivered_in_order(post: Post, receiver: Receiver) -> None:
    receiver.answers(500)
    job = post.begun(receiver.url)
    post.deliver()
    post.jobs.attempts.succeed(job, OUTPUT, JobMetrics())
    post.deliver()
    assert receiver.types == ["job.running"]
    receiver.answers(200)
    post.wait(6)
    assert receiver.types == ["job.running", "job.running", "job.succeeded"]
    late = receiver.received[1].message["data"]
    assert (late["status"], late["finished_at"], late["output"]) == ("running", None, None)


def test_the_last_webhook_is_sent_even_if_the_first_was_given_up(post: Post, receiver: Receiver) -> None:
    receiver.answers(500)
    job = post.begun(receiver.url)
    post.jobs.attempts.succeed(job, OUTPUT, JobMetrics())
    for _ in range(10):
        post.wait(100_000)
    assert receiver.types == ["job.running"] * 10
    receiver.answers(200)
    post.wait(600)
    assert receiver.types[10:] == ["job.succeeded"]


def test_a_job_that_starts_again_sends_no_second_webhook(post: Post, receiver: Receiver) -> None:
    job = post.begun(receiver.url)
    post.deliver()
    post.jobs.attempts.release(job)
    assert post.jobs.attempts.dequeue("animate", "another") is not None
    post.deliver()
    assert receiver.types == ["job.running"]


def test_a_receiver_that_was_down_for_ten_minutes_gets_all_webhooks_in_order(post: Post, receiver: Receiver) -> None:
    receiver.answers(502)
    jobs = [post.begun(receiver.url) for _ in range(20)]
    for job in jobs:
        post.jobs.attempts.succeed(job, OUTPUT, JobMetrics())
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
def test_no_failure_loses_webhooks_or_changes_their_order(post: Post, receiver: Receiver, seed: int) -> None:
    """Jobs, failing receivers, and senders that die before or after sending; drawn from the seed."""
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
            post.jobs.attempts.succeed(begun.pop(draw.randrange(len(begun))), OUTPUT, JobMetrics())
        elif action == "come and go":
            away ^= {str(draw.randrange(4))}
        elif action == "send":
            deliver_due(post.deliverer)
        elif action == "die":
            post.outbox.claim(2)
        elif action == "die late":
            for delivery in post.outbox.claim(2):
                post.deliverer.sender.send(delivery, post.clock())
        else:
            post.clock.ahead += draw.choice((1, 70, 400))
    for job in begun:
        post.jobs.attempts.succeed(job, OUTPUT, JobMetrics())
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
