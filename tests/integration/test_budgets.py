"""A tenant's monthly budget: once used up, new jobs are rejected, with the time until the next month."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import redis

from service.contract.budgets import next_month
from service.contract.problems import BudgetSpent
from service.contract.record import new_job_id
from service.contract.requests import JobOptions
from service.store.keys import LEASES, USED_MONTHS, job_key
from service.store.quotas import Limits
from service.store.tenants import Tenant, TenantStore
from service.store.usage import Prices
from tests.clocks import now_ms
from tests.conftest import Api
from tests.integration.webhooks.conftest import post, receiver
from tests.integration.webhooks.post import Post
from tests.jobs import TIMINGS, JobStore, new_job
from tests.receiver import Receiver

__all__ = ["post", "receiver"]

LEASE_MS = round(TIMINGS.lease * 1000)
WARNING = "usage.budget_warning"


def use(client: redis.Redis, store: JobStore, seconds: float) -> None:
    """End an attempt that used its device for so long."""
    job = new_job(new_job_id()).model_copy(update={"options": JobOptions(priority=100)})
    store.submissions.create(job)
    attempt = store.attempts.dequeue("animate", "worker")
    assert attempt is not None
    used_ms = round(seconds * 1000)
    taken_ms = now_ms(client) - LEASE_MS - used_ms - 1000
    client.hset(job_key(job.id), "taken_ms", taken_ms)
    client.zadd(LEASES, {job.id: taken_ms + used_ms + LEASE_MS})
    store.cancel(job)
    assert store.recovery.reap(job.id)


def allow(client: redis.Redis, **budget: Any) -> None:
    TenantStore(client).put(Tenant(name="default", **budget))


def animate(api: Api, photo: bytes, **query: str) -> httpx.Response:
    form: dict[str, Any] = {"data": {"prompt": "waves"}, "files": {"image": photo}}
    return httpx.post(f"{api.url}/animate", params=query, timeout=30, **form)


def test_new_jobs_are_refused_once_the_budget_is_used_up_and_accepted_when_it_is_raised(api: Api, photo: bytes) -> None:
    store = JobStore(api.redis)
    allow(api.redis, monthly_device_seconds=60)
    use(api.redis, store, 59.999)
    job = animate(api, photo).json()
    use(api.redis, store, 0.001)
    stored = len(api.redis.keys("*"))
    rerun = httpx.post(f"{api.url}/jobs/{job['id']}/rerun", timeout=30)
    for refused in (animate(api, photo), animate(api, photo, validate_only="true"), rerun):
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["retryable"]) == (429, "BUDGET.SPENT", True)
        opens_at = datetime.now(UTC) + timedelta(seconds=int(refused.headers["retry-after"]))
        assert abs(opens_at - next_month(datetime.now(UTC))) < timedelta(seconds=5)
        assert f"{next_month(datetime.now(UTC)):%Y-%m-%dT00:00:00Z}" in problem["detail"]
    assert len(api.redis.keys("*")) == stored
    assert httpx.get(f"{api.url}/jobs/{job['id']}").json()["status"] == "queued", "what was accepted is run"
    allow(api.redis, monthly_device_seconds=61)
    assert animate(api, photo).status_code == 202


def test_a_budget_can_limit_costs(redis_client: redis.Redis) -> None:
    store = JobStore(redis_client, prices=Prices({"animate": 0.5}))
    allow(redis_client, monthly_cost=10)
    use(redis_client, store, 19.9)
    use(redis_client, store, 0.1)
    with pytest.raises(BudgetSpent):
        store.submissions.create(new_job())


def test_a_tenants_own_budget_takes_precedence_over_the_setting(redis_client: redis.Redis) -> None:
    store = JobStore(redis_client, limits=Limits(monthly_device_seconds=10))
    use(redis_client, store, 10)
    with pytest.raises(BudgetSpent):
        store.submissions.announce("default")
    store.submissions.announce("other")
    allow(redis_client, monthly_device_seconds=20)
    store.submissions.announce("default")


def test_usage_of_another_month_does_not_count_against_this_months_budget(redis_client: redis.Redis) -> None:
    store = JobStore(redis_client)
    allow(redis_client, monthly_device_seconds=10)
    use(redis_client, store, 10)
    month = f"{USED_MONTHS}default:{datetime.now(UTC):%Y-%m}"
    redis_client.rename(month, f"{USED_MONTHS}default:2020-01")
    store.submissions.announce("default")


def test_the_usage_report_includes_the_budget(api: Api) -> None:
    assert httpx.get(f"{api.url}/usage").json()["budget"] is None
    allow(api.redis, monthly_device_seconds=60)
    use(api.redis, JobStore(api.redis), 12.5)
    now = datetime.now(UTC)
    told = httpx.get(f"{api.url}/usage", params={"tenant": "default"}).json()["budget"]
    assert told == {
        "tenant": "default",
        "month": f"{now:%Y-%m}",
        "device_seconds": 12.5,
        "max_device_seconds": 60,
        "cost": None,
        "max_cost": None,
        "currency": None,
        "renews_at": f"{next_month(now):%Y-%m-%dT00:00:00Z}",
    }


def test_subscribed_endpoints_are_warned_once_when_most_of_a_budget_is_used(
    post: Post, receiver: Receiver, redis_client: redis.Redis
) -> None:
    post.endpoints.add("default", receiver.url, (WARNING,))
    allow(redis_client, monthly_device_seconds=100)
    use(redis_client, post.jobs, 79.999)
    post.deliver()
    assert receiver.received == []
    for seconds in (0.001, 5):
        use(redis_client, post.jobs, seconds)
        post.deliver()
    (received,) = receiver.received
    message = received.message
    assert (message["type"], message["data"]["tenant"]) == (WARNING, "default")
    assert (message["data"]["device_seconds"], message["data"]["max_device_seconds"]) == (80, 100)
    allow(redis_client, monthly_device_seconds=200)
    use(redis_client, post.jobs, 160)
    post.deliver()
    assert len(receiver.received) == 1, "once a month, whatever the budget"


def test_endpoints_for_jobs_get_no_budget_warnings(post: Post, receiver: Receiver, redis_client: redis.Redis) -> None:
    post.endpoints.add("default", receiver.url)
    allow(redis_client, monthly_device_seconds=1)
    use(redis_client, post.jobs, 0.9)
    post.deliver()
    assert receiver.types == ["job.canceled"]


@pytest.mark.parametrize(
    ("moment", "next_one"),
    [
        (datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_budgets_month_ends_on_the_first_of_the_next(moment: datetime, next_one: datetime) -> None:
    assert next_month(moment) == next_one
