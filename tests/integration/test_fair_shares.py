"""Which tenant's job is dequeued next: no tenant has the workers to itself."""

import redis

from service.contract.record import Job, JobMetrics, new_job_id
from service.contract.states import JobStatus
from service.store.tenants import Tenant, TenantStore
from tests.jobs import OUTPUT, JobStore, new_job


def tenants_job(tenant: str) -> Job:
    return new_job(new_job_id()).model_copy(update={"tenant": tenant})


def order_of_tenants(store: JobStore, count: int) -> list[str]:
    """The tenants whose jobs one worker dequeues, in order."""
    order = []
    for _ in range(count):
        job = store.attempts.dequeue("animate", "worker")
        assert job is not None
        order.append(job.tenant)
        store.attempts.succeed(job, OUTPUT, JobMetrics())
    return order


def fill(store: JobStore, **counts: int) -> None:
    for tenant, count in counts.items():
        for _ in range(count):
            store.submissions.create(tenants_job(tenant))


def test_a_thousand_jobs_of_one_tenant_delay_anothers_first_by_one(store: JobStore) -> None:
    fill(store, big=1000)
    order_of_tenants(store, 20)
    fill(store, small=3)
    assert order_of_tenants(store, 6).index("small") <= 1
    assert order_of_tenants(store, 4).count("small") <= 1, "all three of them came among the first six, or nearly"


def test_workers_are_shared_by_weight(store: JobStore, redis_client: redis.Redis) -> None:
    TenantStore(redis_client).put(Tenant(name="heavy", weight=3))
    fill(store, heavy=60, light=60)
    order = order_of_tenants(store, 40)
    assert abs(order.count("heavy") - 30) <= 1


def test_an_idle_tenant_gathers_no_credit(store: JobStore) -> None:
    fill(store, busy=100, late=1)
    order_of_tenants(store, 60)
    fill(store, late=30)
    assert abs(order_of_tenants(store, 20).count("late") - 10) <= 1


def test_a_tenant_at_its_limit_of_running_jobs_leaves_workers_to_others(
    store: JobStore, redis_client: redis.Redis
) -> None:
    TenantStore(redis_client).put(Tenant(name="acme", max_running=2))
    fill(store, acme=5, other=1)
    taken = [store.attempts.dequeue("animate", "worker") for _ in range(4)]
    assert sorted(job.tenant for job in taken if job) == ["acme", "acme", "other"]
    held = next(job for job in taken if job and job.tenant == "acme")
    assert store.attempts.release(held).status is JobStatus.QUEUED
    again = store.attempts.dequeue("animate", "worker")
    assert again is not None
    assert again.id == held.id
    store.attempts.succeed(again, OUTPUT, JobMetrics())
    assert store.attempts.dequeue("animate", "worker") is not None
    assert store.attempts.dequeue("animate", "worker") is None


def test_a_tenant_at_its_limit_gathers_no_credit_and_newcomers_get_none(
    store: JobStore, redis_client: redis.Redis
) -> None:
    TenantStore(redis_client).put(Tenant(name="capped", max_running=1))
    fill(store, capped=60, busy=200)
    held = next(
        job for _ in range(2) if (job := store.attempts.dequeue("animate", "worker")) and job.tenant == "capped"
    )
    assert order_of_tenants(store, 60).count("capped") == 0
    store.attempts.succeed(held, OUTPUT, JobMetrics())
    TenantStore(redis_client).put(Tenant(name="capped"))
    assert abs(order_of_tenants(store, 20).count("capped") - 10) <= 1
    fill(store, newcomer=40)
    assert abs(order_of_tenants(store, 30).count("newcomer") - 10) <= 1
