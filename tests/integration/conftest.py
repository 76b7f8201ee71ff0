"""The whole stack as processes: Redis, API and a worker with the built-in model, over S3."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
import redis
from schemathesis.pytest.plugin import SchemathesisFunction

from cinemo_client import Client, JobNotSucceeded
from deploy.local.stack import Stack, running_stack
from service.contract.record import Job, new_job_id
from service.contract.requests import JobOptions
from service.storage import S3Store
from service.store.connections import connect
from service.store.queue import JobQueue
from service.store.retention import Retention
from tests.collector import Collector, collecting
from tests.conftest import BUCKET, CREDENTIALS, s3_variables
from tests.integration.expiry import Fragile
from tests.jobs import JobStore
from tests.processes import fork_part

SMALL = {"detail": "off", "width": 96, "height": 64}
"""A quarter of what the model makes of itself and nothing more, where the size is not what a test is about."""


@dataclass(frozen=True)
class Service:
    """A running service, and its parts for tests that reach behind the API."""

    stack: Stack
    jobs: JobStore
    queue: JobQueue
    storage: S3Store

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.stack.url, timeout=30)

    def animate(self, photo: bytes, **fields: Any) -> dict[str, Any]:
        """POST a job with two steps and small frames; returns the response."""
        data = {"prompt": "the camera pans left", "num_inference_steps": 2, **SMALL, **fields}
        data = {name: value for name, value in data.items() if value is not None}
        answer = self.http.post("/animate", data=data, files={"image": ("photo.jpg", photo)})
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def repeat(self, job_id: str, **options: Any) -> str:
        """Submit an identical job with other options; returns its ID."""
        earlier = self.jobs.queries.get(job_id)
        assert earlier is not None
        again = Job(
            id=new_job_id(),
            created_at=datetime.now(UTC),
            input_key=earlier.input_key,
            request=earlier.request,
            options=JobOptions(**options),
        )
        self.jobs.submissions.create(again)
        self.queue.enqueue(again.id)
        return again.id

    def get(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.http.get(f"/jobs/{job_id}").raise_for_status().json()
        return job

    def wait_for(self, job_id: str) -> dict[str, Any]:
        """The job, once it has ended in any way."""
        with Client(self.stack.url) as client, suppress(JobNotSucceeded):
            client.job(job_id).wait(timeout=240)
        return self.get(job_id)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each operation of the contract tests an id: of several items that share theirs, xdist runs one."""
    for item in items:
        if isinstance(item, SchemathesisFunction):
            item._id = replace(item.id, params=item.operation_label)


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make clients load one certificate instead of all public authorities, which takes most of a call's time.

    No server here has a certificate that any of those has signed.
    """
    first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")
    path = tmp_path_factory.mktemp("authority") / "one.pem"
    path.write_text(first + end)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(path))
        yield


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the service's spans are sent."""
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="session")
def service(s3_endpoint: str, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    spans = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running_over_s3(s3_endpoint, tmp_path_factory.mktemp("stack"), spans) as service:
        yield service


@contextmanager
def running_over_s3(endpoint: str, folder: Path, variables: dict[str, str], trainer: bool = False) -> Iterator[Service]:
    """A stack over the S3 server; concurrent tests do not see its environment variables."""
    with ExitStack() as parts:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {**s3_variables(endpoint), **variables}.items():
                environment.setenv(name, value)
            stack = parts.enter_context(running_stack(folder, trainer=trainer, start=fork_part))
        url = stack.environment["CINEMO_REDIS_URL"]
        storage = S3Store(BUCKET, endpoint, "us-east-1", **CREDENTIALS)
        yield Service(stack, JobStore(connect(url)), JobQueue(url), storage)


@pytest.fixture
def store(redis_client: redis.Redis) -> JobStore:
    return JobStore(redis_client)


@pytest.fixture
def storage(tmp_path: Path) -> Fragile:
    return Fragile(tmp_path)


@pytest.fixture
def retention(store: JobStore, storage: Fragile) -> Retention:
    return Retention(store.removals, storage)
