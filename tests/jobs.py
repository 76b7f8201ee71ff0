"""Jobs for tests, and the steps of a worker."""

from datetime import UTC, datetime, timedelta

import redis

from service.contract.failures import WORKER_LOST
from service.contract.record import Job, JobOutput, Progress, StoredFile, StoredVideo
from service.contract.requests import AnimateRequest
from service.store.api_jobs import ApiJobs
from service.store.quotas import UNLIMITED, Limits
from service.store.transitions import JobTimings
from service.store.usage import FREE, Prices
from service.store.worker_jobs import WorkerJobs
from tests.datasets import training

FILE = StoredFile(key="k", content_type="image/jpeg", bytes=1, sha256="0")
VIDEO = StoredVideo(**FILE.model_dump(), width=144, height=96, frames=16, fps=8, seconds=2)
OUTPUT = JobOutput(video=VIDEO, poster=FILE, manifest=FILE)
TIMINGS = JobTimings(retention=7 * 86_400, data_retention=3 * 86_400, lease=20)
LOST = WORKER_LOST.error("it is gone")


class JobStore(ApiJobs, WorkerJobs):
    """The access to jobs of both API and workers, which no process of the service has."""

    def __init__(
        self,
        client: redis.Redis,
        times: JobTimings = TIMINGS,
        max_losses: int = 3,
        limits: Limits = UNLIMITED,
        prices: Prices = FREE,
    ) -> None:
        ApiJobs.__init__(self, client, times, limits, durable=False, audit_days=365)
        WorkerJobs.__init__(self, client, times, max_losses, False, 365, prices, limits)


def new_job(job_id: str = "job_1", seconds_ago: int = 0) -> Job:
    created = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    request = AnimateRequest(prompt="waves ~ \u6ce2", seed=1, num_inference_steps=4, guidance_scale=2, model="tiny")
    return Job(id=job_id, created_at=created, input_key="i", request=request)


def new_training(job_id: str = "job_t") -> Job:
    request = training("datasets/waves/", base_model="waves@0123456789ab")
    return Job(id=job_id, kind="train", created_at=datetime.now(UTC), request=request)


def taken(store: JobStore, job: Job) -> Job:
    """A job that a worker has just started."""
    store.submissions.create(job)
    return retaken(store, job.id)


def retaken(store: JobStore, job_id: str) -> Job:
    job = store.attempts.dequeue(found(store, job_id).kind, "worker")
    assert job is not None
    assert job.id == job_id
    return job


def found(store: JobStore, job_id: str) -> Job:
    job = store.queries.get(job_id)
    assert job is not None
    return job


def step(done: int) -> Progress:
    return Progress(step=done, steps=4, fraction=done / 4, message="")
