"""`python -m tests.bench.sweeper`: how many jobs' files are deleted per second at a slow S3 server."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import redis
import structlog
import typer

from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.contract.record import Job, new_job_id
from service.contract.requests import AnimateRequest
from service.storage import S3Store
from service.store.keys import REMOVALS
from service.store.retention import Retention
from tests.bench.timing import median_seconds
from tests.conftest import BUCKET, CREDENTIALS, s3_running
from tests.jobs import JobStore
from tests.processes import running
from tests.proxy import LATE_SECONDS, http_proxy

JOBS = 200
FILES = ("inputs/{}/image.png", "jobs/{}/1/video.mp4", "jobs/{}/1/poster.jpg", "jobs/{}/1/manifest.json")
REQUEST = AnimateRequest(prompt="p", seed=1, num_inference_steps=1, guidance_scale=1, model="tiny")


def main() -> None:
    """Delete equally many jobs one by one and with the sweeper, and print both rates."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(prefix="cinemo-bench-") as folder, servers(Path(folder)) as (client, endpoint):
        jobs, files = JobStore(client), S3Store(BUCKET, endpoint, "us-east-1", **CREDENTIALS)
        with http_proxy(endpoint, late=1) as proxy:
            late = S3Store(BUCKET, proxy.url, "us-east-1", **CREDENTIALS)
            retention, call_ms = Retention(jobs.removals, late), median_seconds(late.check, 20) * 1000
            print(
                f"{JOBS} jobs of {len(FILES)} files, {LATE_SECONDS * 1000:.0f} ms more for each call: {call_ms:.0f} ms"
            )
            for name, remove in (("one after the other", one_by_one), ("the sweeper's rounds", in_rounds)):
                end_jobs(client, jobs, files)
                proxy.seen.clear()
                began = time.monotonic()
                remove(retention)
                seconds = time.monotonic() - began
                assert not any(files.list(place) for place in ("inputs/", "jobs/"))
                calls = len(proxy.seen) / JOBS
                print(f"{name}: {JOBS / seconds:.1f} jobs a second, {calls:.1f} calls to S3 a job")


def one_by_one(retention: Retention) -> None:
    for tenant, job_id in retention.removals.due(JOBS):
        retention.remove(tenant, job_id)


def in_rounds(retention: Retention) -> None:
    while retention.round():
        pass


def end_jobs(client: "redis.Redis", jobs: JobStore, files: S3Store) -> None:
    """Create ended jobs whose files are due for deletion."""
    for _ in range(JOBS):
        job = Job(id=new_job_id(), created_at=datetime.now(UTC), input_key="i", request=REQUEST)
        jobs.submissions.create(job)
        jobs.cancel(job)
        for key in FILES:
            files.put_bytes(key.format(job.id), b"data", "image/png")
        client.zadd(REMOVALS, {f"{job.tenant}:{job.id}": 0})


@contextmanager
def servers(folder: Path) -> Iterator[tuple["redis.Redis", str]]:
    """A Redis and an S3 server with a bucket."""
    port = free_port()
    with (
        running(redis_command(port, folder), folder / "redis.log", lambda: answers_ping(port)),
        s3_running(folder) as s3,
    ):
        yield redis.Redis(port=port), s3


if __name__ == "__main__":
    typer.run(main)
