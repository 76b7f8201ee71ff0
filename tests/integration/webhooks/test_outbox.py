"""Webhooks are written with the change itself, claimed by one sender at a time, and expire with the job."""

from dataclasses import replace

import redis

from service.contract.record import JobMetrics
from service.store.keys import WEBHOOK_NAMES, WEBHOOKS, job_key, secrets_key
from tests.integration.webhooks.post import Post
from tests.jobs import OUTPUT, TIMINGS, JobStore
from tests.receiver import Receiver


def test_a_change_and_its_webhooks_are_one_step(post: Post, receiver: Receiver, redis_client: redis.Redis) -> None:
    post.ended(receiver.url)
    job = post.begun(receiver.url)
    assert [each.type for each in post.outbox.of_job(job.id)] == ["job.running"]
    before = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"]
    post.jobs.attempts.succeed(job, OUTPUT, JobMetrics())
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1
    assert [each.type for each in post.outbox.of_job(job.id)] == ["job.running", "job.succeeded"]


def test_a_rejected_transition_sends_no_webhook(post: Post, receiver: Receiver) -> None:
    job = post.begun(receiver.url)
    assert not post.jobs.attempts.succeed(job.model_copy(update={"attempt": 7}), OUTPUT, JobMetrics()).happened
    assert len(post.outbox.of_job(job.id)) == 1


def test_deliveries_claimed_by_a_dead_sender_are_sent_by_another(post: Post, receiver: Receiver) -> None:
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


def test_deliveries_expire_with_their_jobs_record(redis_client: redis.Redis, post: Post, receiver: Receiver) -> None:
    short = replace(post, jobs=JobStore(redis_client, replace(TIMINGS, retention=60)))
    receiver.answers(500)
    job = short.ended(receiver.url)
    short.deliver()
    [delivery] = post.outbox.of_job(job.id)
    ended = [job_key(job.id), WEBHOOK_NAMES["delivery"] + delivery.id, WEBHOOK_NAMES["of_job"] + job.id]
    for key in (*ended, WEBHOOK_NAMES["of_tenant"] + "default"):
        assert 0 < int(redis_client.ttl(key)) <= 60
    # As if the time had passed.
    redis_client.delete(*ended, f"{WEBHOOK_NAMES['queue']}{job.id}:{delivery.receiver}")
    post.wait(6)
    assert len(receiver.received) == 1
    kept = {WEBHOOK_NAMES["receiver"] + delivery.receiver, WEBHOOK_NAMES["of_tenant"] + "default"}
    left = {*kept, secrets_key("default")}
    assert set(redis_client.keys(f"{WEBHOOKS}*")) == {key.encode() for key in left}
    post.ended(receiver.url)
    assert redis_client.zcard(WEBHOOK_NAMES["of_tenant"] + "default") == 1
