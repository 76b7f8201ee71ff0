"""Which receivers get which webhooks, and what these contain."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.contract.deliveries import DeliveryStatus
from service.contract.failures import INTERNAL
from service.contract.record import JobMetrics, new_job_id
from tests.integration.webhooks.post import Post, job_for
from tests.jobs import OUTPUT, new_job, new_training, step
from tests.receiver import Receiver

BROKEN = INTERNAL.error("it broke")


@pytest.mark.parametrize(
    ("end", "reported"),
    [
        (lambda jobs, job: jobs.attempts.succeed(job, OUTPUT, JobMetrics()), "job.succeeded"),
        (lambda jobs, job: jobs.attempts.fail(job, BROKEN), "job.failed"),
        (lambda jobs, job: (jobs.cancel(job), jobs.attempts.release(job)), "job.canceled"),
    ],
)
def test_a_receiver_is_notified_when_a_job_starts_and_ends(
    post: Post, receiver: Receiver, end: Any, reported: str
) -> None:
    job = post.begun(receiver.url)
    post.jobs.attempts.report_progress(job, step(1))
    end(post.jobs, job)
    post.deliver()
    assert receiver.types == ["job.running", reported]
    for received in receiver.received:
        message = Webhook(post.endpoints.secrets(job.tenant)[0]).verify(received.body, received.headers)
        assert message["data"]["id"] == job.id
        assert f"job.{message['data']['status']}" == message["type"]
        assert datetime.fromisoformat(message["timestamp"]).tzinfo is not None
    assert receiver.received[1].message["data"]["finished_at"] is not None


def test_a_job_canceled_in_the_queue_sends_a_webhook(post: Post, receiver: Receiver) -> None:
    job = job_for(receiver.url)
    post.jobs.submissions.create(job)
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


def test_trainings_send_webhooks_too(post: Post, receiver: Receiver) -> None:
    post.endpoints.add("default", receiver.url)
    training = new_training(new_job_id())
    post.jobs.submissions.create(training)
    taken = post.jobs.attempts.dequeue("train", "worker")
    assert taken is not None
    post.jobs.attempts.fail(taken, BROKEN)
    post.deliver()
    assert receiver.received[0].message["data"]["kind"] == "train"


def test_only_subscribed_events_are_sent(post: Post, receiver: Receiver, other: Receiver) -> None:
    post.endpoints.add("default", other.url, ["job.failed"])
    post.ended(receiver.url)
    post.deliver()
    assert (receiver.types, other.types) == (["job.succeeded"], [])


def test_all_endpoints_of_the_tenant_are_notified_and_no_other_tenants(
    post: Post, receiver: Receiver, other: Receiver
) -> None:
    post.endpoints.add("acme", receiver.url)
    post.endpoints.add("other", other.url)
    job = new_job(new_job_id()).model_copy(update={"tenant": "acme"})
    post.jobs.submissions.create(job)
    post.jobs.cancel(job)
    post.deliver()
    assert (receiver.types, other.types) == (["job.canceled"], [])


def test_an_endpoint_that_a_job_also_names_is_notified_once(post: Post, receiver: Receiver) -> None:
    post.endpoints.add("default", receiver.url)
    post.ended(receiver.url)
    post.deliver()
    assert receiver.types == ["job.succeeded"]


def test_a_removed_endpoint_is_not_notified(post: Post, receiver: Receiver, other: Receiver) -> None:
    endpoint = post.endpoints.add("default", receiver.url)
    job = post.ended(other.url)
    assert post.endpoints.remove("default", endpoint.id)
    post.ended(other.url)
    post.deliver()
    assert (len(receiver.received), len(other.received)) == (0, 2)
    assert {each.status for each in post.outbox.of_job(job.id)} == {DeliveryStatus.STOPPED, DeliveryStatus.DELIVERED}


def test_secrets_can_be_rotated_without_interruption(post: Post, receiver: Receiver) -> None:
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
