"""Webhooks in OpenAI's dialect: endpoints and jobs' own URLs can subscribe to its events."""

from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from service.contract.failures import INTERNAL
from service.contract.record import JobMetrics, new_job_id
from tests.integration.webhooks.post import Post, job_for
from tests.jobs import OUTPUT, new_job, new_training
from tests.receiver import Receiver

VIDEO_EVENTS = ("video.completed", "video.failed")


@pytest.mark.parametrize(
    ("end", "reported"),
    [
        (lambda jobs, job: jobs.attempts.succeed(job, OUTPUT, JobMetrics()), "video.completed"),
        (lambda jobs, job: jobs.attempts.fail(job, INTERNAL.error("it broke")), "video.failed"),
        (lambda jobs, job: (jobs.cancel(job), jobs.attempts.release(job)), "video.failed"),
    ],
)
def test_an_endpoint_gets_video_events_with_the_videos_id(
    post: Post, receiver: Receiver, end: Any, reported: str
) -> None:
    post.endpoints.add("default", receiver.url, VIDEO_EVENTS)
    post.jobs.submissions.create(new_job(new_job_id()))
    job = post.jobs.attempts.dequeue("animate", "worker")
    assert job is not None
    end(post.jobs, job)
    post.deliver()
    (received,) = receiver.received
    message = Webhook(post.endpoints.secrets("default")[0]).verify(received.body, received.headers)
    assert message == {
        "id": received.id,
        "object": "event",
        "created_at": message["created_at"],
        "type": reported,
        "data": {"id": job.id},
    }
    assert isinstance(message["created_at"], int)


def test_both_dialects_events_are_sent_for_the_same_job(post: Post, receiver: Receiver, other: Receiver) -> None:
    post.endpoints.add("default", receiver.url, VIDEO_EVENTS)
    post.ended(other.url)
    post.deliver()
    assert (receiver.types, other.types) == (["video.completed"], ["job.succeeded"])
    assert receiver.ids != other.ids


def test_a_job_can_request_video_events_at_its_own_url(post: Post, receiver: Receiver) -> None:
    job = job_for(receiver.url)
    asked = job.options.model_copy(update={"webhook_events": ("video.failed",)})
    post.jobs.submissions.create(job.model_copy(update={"options": asked}))
    post.jobs.cancel(job)
    post.deliver()
    assert receiver.types == ["video.failed"]


def test_trainings_send_no_video_events(post: Post, receiver: Receiver) -> None:
    post.endpoints.add("default", receiver.url, VIDEO_EVENTS)
    training = new_training(new_job_id())
    post.jobs.submissions.create(training)
    post.jobs.cancel(training)
    post.deliver()
    assert receiver.received == []
