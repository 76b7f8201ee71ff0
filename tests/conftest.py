"""A real Redis, a real S3 server, and the API as a process: started once, emptied between tests."""

import os

# Several processes share few cores here: one thread each is faster than all of them waiting for each other. The
# variable counts for the processes that tests start and must stand before torch is loaded.
os.environ["OMP_NUM_THREADS"] = "1"
# Hundreds of processes run the same modules, which else each would compile for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import gc
import io
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis
from PIL import Image

from cinemo_core.sandbox import decoder
from cinemo_core.training.sources import photo_path
from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.storage import S3Store
from tests.forked import FORKING, open_nursery
from tests.processes import PYTHON, answers, running

WAITING = Path(__file__).with_name("integration")
BUCKET = "videos"
CREDENTIALS: dict[str, Any] = {"access_key_id": "tester", "secret_access_key": "not-a-secret"}


def pytest_configure(config: pytest.Config) -> None:
    """Start one nursery for the run, whose processes inherit its address; see tests/nursery.py."""
    if not hasattr(config, "workerinput"):
        nursery = ExitStack()
        nursery.enter_context(open_nursery())
        config.add_cleanup(nursery.close)


def pytest_collection() -> None:
    """Pause garbage collection during loading, and exempt what exists then."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait for processes evenly among those that compute, so that no core of a run is idle."""
    waiting: list[list[pytest.Item]] = []
    computing: list[list[pytest.Item]] = []
    for path, tests in groupby(items, key=lambda item: item.path):
        (waiting if path.is_relative_to(WAITING) else computing).append(list(tests))
    files = [(number / len(kind), tests) for kind in (waiting, computing) for number, tests in enumerate(kind, start=1)]
    items[:] = [test for _, tests in sorted(files, key=lambda file: file[0]) for test in tests]


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def forked_decoders() -> Iterator[None]:
    """Fork the processes that decode videos, too; a test that needs one started reverts this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder, "subprocess", FORKING)
        yield


@dataclass(frozen=True)
class Api:
    """A running API without workers, so that jobs stay queued."""

    url: str
    redis: "redis.Redis"
    storage_folder: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    def queued(self) -> int:
        """Number of job records and messages in Redis."""
        queues = ("animate", "edit", "train")
        return len(self.redis.keys("{cinemo}:job:*")) + sum(int(self.redis.llen(queue)) for queue in queues)


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    with running(redis_command(port, folder), folder / "log", lambda: answers_ping(port)):
        yield port


@pytest.fixture
def redis_client(redis_port: int) -> redis.Redis:
    client = redis.Redis(port=redis_port)
    client.flushall()
    return client


@contextmanager
def s3_running(folder: Path) -> Iterator[str]:
    """moto's server in its own process, with one bucket."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"

    command = [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, folder / "s3.log", lambda: answers(f"{endpoint}/moto-api/")):
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["access_key_id"],
            aws_secret_access_key=CREDENTIALS["secret_access_key"],
        )
        client.create_bucket(Bucket=BUCKET)
        yield endpoint


def s3_variables(endpoint: str) -> dict[str, str]:
    return {
        "CINEMO_STORAGE_URL": f"s3://{BUCKET}",
        "CINEMO_S3_ENDPOINT_URL": endpoint,
        "CINEMO_S3_ACCESS_KEY_ID": CREDENTIALS["access_key_id"],
        "CINEMO_S3_SECRET_ACCESS_KEY": CREDENTIALS["secret_access_key"],
    }


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_running(tmp_path_factory.mktemp("s3")) as endpoint:
        yield endpoint


@pytest.fixture
def s3(s3_endpoint: str) -> S3Store:
    return S3Store(BUCKET, s3_endpoint, "us-east-1", **CREDENTIALS)


@contextmanager
def api_running(
    folder: Path, redis_port: int, changes: dict[str, str] | None = None, descriptors: int | None = None
) -> Iterator[Api]:
    """A separate API, with changed settings and a limit of open files."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_STORAGE_URL": f"file://{folder / 'storage'}",
        "CINEMO_URL_SIGNING_KEY": "for tests alone",
        "CINEMO_PUBLIC_BASE_URL": url,
        "CINEMO_AUTH": "off",
        "CINEMO_DRAIN_SECONDS": "0",
        **(changes or {}),
    }
    command = [PYTHON, "-m", "service", "--port", str(port)]
    if descriptors is not None:
        command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
    with running(command, folder / "log", lambda: answers(f"{url}/healthz"), environment) as process:
        yield Api(url, redis.Redis(port=redis_port), folder / "storage", process, folder / "log")


@pytest.fixture(scope="session")
def api_process(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api_running(tmp_path_factory.mktemp("api"), redis_port) as api:
        yield api


@pytest.fixture
def api(api_process: Api) -> Api:
    api_process.redis.flushall()
    shutil.rmtree(api_process.storage_folder, ignore_errors=True)
    return api_process


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A real JPEG."""
    buffer = io.BytesIO()
    with Image.open(photo_path("coffee.png")) as image:
        image.convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()
