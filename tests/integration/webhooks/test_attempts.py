"""How failures and requested delays of a receiver affect a delivery and the receiver's others."""

import time
from dataclasses import replace
from threading import Event

import pytest

from service.contract.deliveries import DeliveryStatus
from service.webhooks.send import RETRY_SECONDS
from tests.integration.webhooks.post import Post, deliver_due
from tests.receiver import Received, Receiver


def test_a_failed_attempt_is_retried_with_the_same_id(post: Post, receiver: Receiver) -> None:
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


def test_a_dead_receiver_is_retried_on_schedule_and_then_given_up(post: Post, receiver: Receiver) -> None:
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
    found = post.jobs.queries.get(job.id)
    assert found is not None
    assert found.status == "succeeded"


def test_a_410_disables_an_endpoint_and_stops_its_pending_deliveries(
    post: Post, receiver: Receiver, other: Receiver
) -> None:
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


def test_a_410_from_a_jobs_own_url_ends_only_that_delivery(post: Post, receiver: Receiver) -> None:
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


def test_a_receivers_retry_after_applies_to_all_its_deliveries(post: Post, receiver: Receiver) -> None:
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


def test_a_receiver_that_times_out_is_retried(post: Post, receiver: Receiver) -> None:
    deliverer = replace(post.deliverer, sender=replace(post.deliverer.sender, timeout_seconds=0.3))
    given_up = Event()

    def dawdle(received: Received) -> tuple[int, dict[str, str]]:
        given_up.wait(30)
        return 200, {}

    receiver.answer = dawdle
    job = post.ended(receiver.url)
    assert deliver_due(deliverer) == 1
    given_up.set()
    [delivery] = post.outbox.of_job(job.id)
    assert delivery.attempts[0].status is None
    assert delivery.attempts[0].error
    assert delivery.attempts[0].latency_ms >= 300
    receiver.answers(200)
    post.wait(6)
    assert len(set(receiver.ids)) == 1
    assert post.outbox.of_job(job.id)[0].status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://169.254.169.254/latest", "http://nowhere.invalid/"])
def test_an_unreachable_receiver_is_logged_and_retried(post: Post, url: str) -> None:
    job = post.ended(url)
    post.deliver()
    [delivery] = post.outbox.of_job(job.id)
    assert delivery.status is DeliveryStatus.PENDING
    assert delivery.next_attempt_at is not None
    assert delivery.attempts[0].error
    found = post.jobs.queries.get(job.id)
    assert found is not None
    assert found.status == "succeeded"


def test_a_dead_receiver_with_many_deliveries_is_probed_by_one_at_a_time(post: Post, receiver: Receiver) -> None:
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


def test_urls_that_differ_only_in_their_query_are_one_receiver(post: Post, receiver: Receiver) -> None:
    receiver.answers(500)
    for number in range(5):
        post.ended(f"{receiver.url}?job={number}")
    post.deliver()
    assert len(receiver.received) == 1
