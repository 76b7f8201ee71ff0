"""A failing storage is retried for a configured time, as long as the caller still needs the result."""

import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import httpx
import pytest

from service.contract.problems import ObjectNotFound, StorageUnavailable
from service.storage import RetryingStore, S3Store
from service.storage.retry_policy import LONGEST_PAUSE_SECONDS, RetryPolicy, pause
from tests.conftest import BUCKET, CREDENTIALS, api_running
from tests.proxy import Fault, HttpProxy, http_proxy
from worker.outcome import Canceled

KEY = "jobs/job_1/1/video.mp4"
TIMEOUT_SECONDS = 0.3
FAULTS: tuple[Fault, ...] = ("error", "expired", "hang", "cut", "truncate")


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[HttpProxy]:
    with http_proxy(s3_endpoint) as proxy:
        yield proxy


def behind(proxy: HttpProxy, attempts: int = 1, timeout_seconds: float = TIMEOUT_SECONDS) -> S3Store:
    return S3Store(BUCKET, proxy.url, "us-east-1", **CREDENTIALS, timeout_seconds=timeout_seconds, attempts=attempts)


def patient(proxy: HttpProxy, retry_seconds: float = 60) -> RetryingStore:
    return RetryingStore(behind(proxy), RetryPolicy(retry_seconds))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_upload_is_retried_and_arrives_intact(
    proxy: HttpProxy, s3: S3Store, tmp_path: Path, fault: Fault
) -> None:
    path, data = tmp_path / "video.mp4", b"a video" * 30_000
    path.write_bytes(data)
    store = patient(proxy)
    proxy.plan(fault, fault)
    stored = store.put_file(KEY, path, "video/mp4")
    assert s3.get_bytes(KEY) == data
    assert s3.head(KEY) == stored
    store.put_bytes(KEY, b"bytes", "text/plain")
    assert s3.get_bytes(KEY) == b"bytes"


@pytest.mark.parametrize("call", ["put_file", "put_bytes", "get_bytes", "get_file"])
def test_expired_credentials_are_read_again(
    proxy: HttpProxy, s3: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"a video")
    s3.put_bytes(KEY, b"a video", "video/mp4")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "yesterdays")
    store = RetryingStore(S3Store(BUCKET, proxy.url, "us-east-1", attempts=1), RetryPolicy(30))
    proxy.expired_key = "yesterdays"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "todays")
    calls: dict[str, Callable[[], object]] = {
        "put_file": lambda: store.put_file(KEY, path, "video/mp4"),
        "put_bytes": lambda: store.put_bytes(KEY, b"a video", "video/mp4"),
        "get_bytes": lambda: store.get_bytes(KEY),
        "get_file": lambda: store.get_file(KEY, path),
    }
    calls[call]()
    assert store.get_bytes(KEY) == b"a video"


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "truncate"])
def test_a_failed_download_is_retried_and_arrives_intact(
    proxy: HttpProxy, s3: S3Store, tmp_path: Path, fault: Fault
) -> None:
    data = bytes(range(256)) * 1000
    s3.put_bytes(KEY, data, "video/mp4")
    store = patient(proxy)
    proxy.plan(fault, fault)
    assert store.get_bytes(KEY) == data
    proxy.plan(fault)
    store.get_file(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_a_slow_connection_is_not_a_failure_for_a_worker(proxy: HttpProxy, s3: S3Store) -> None:
    data = b"x" * 40_000
    s3.put_bytes(KEY, data, "video/mp4")
    proxy.plan("slow")
    began = time.monotonic()
    assert patient(proxy, retry_seconds=0).get_bytes(KEY) == data
    assert time.monotonic() - began > TIMEOUT_SECONDS


def test_a_missing_object_is_not_retried(proxy: HttpProxy) -> None:
    # An answer that is late, as on a busy machine, would be asked for again.
    store = RetryingStore(behind(proxy, timeout_seconds=60), RetryPolicy(60))
    with pytest.raises(ObjectNotFound):
        store.get_bytes("no/such/key")
    assert len(proxy.seen) == 1


def test_a_long_outage_fails_after_the_configured_time(proxy: HttpProxy) -> None:
    proxy.rates = {"error": 1}
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="InternalError"):
        patient(proxy, retry_seconds=1).put_bytes(KEY, b"x", "text/plain")
    assert len(proxy.seen) > 1
    assert time.monotonic() - began < 30, "no try began after the stated time"


@pytest.mark.parametrize("fault", ["error", "hang", "slow"])
def test_retries_stop_when_the_caller_must_stop(proxy: HttpProxy, s3: S3Store, fault: Fault) -> None:
    s3.put_bytes(KEY, b"x" * 2_000_000, "video/mp4")
    canceled = threading.Event()

    def interrupt() -> None:
        if canceled.is_set():
            raise Canceled

    proxy.rates = {fault: 1}
    threading.Timer(0.5, canceled.set).start()
    with pytest.raises(Canceled):
        RetryingStore(behind(proxy, attempts=3), RetryPolicy(600), interrupt).get_bytes(KEY)


def test_a_slow_upload_is_interrupted_when_the_caller_must_stop(proxy: HttpProxy, tmp_path: Path) -> None:
    path, asked = tmp_path / "large", 0
    path.write_bytes(b"x" * 4_000_000)
    # As a worker's lease is: of two jobs in one process, each has its own.
    job = ContextVar("job", default="another")
    job.set("this one")

    def interrupt() -> None:
        nonlocal asked
        asked += job.get() == "this one"
        if asked >= 5:
            raise Canceled

    with pytest.raises(Canceled):
        RetryingStore(behind(proxy), RetryPolicy(600), interrupt).put_file(KEY, path, "video/mp4")


def test_pauses_grow_to_a_limit_with_jitter() -> None:
    pauses = [[pause(tries) for _ in range(200)] for tries in (1, 3, 30)]
    assert max(pauses[0]) < max(pauses[1]) < max(pauses[2]) <= LONGEST_PAUSE_SECONDS
    assert len(set(pauses[2])) > 100


def test_the_api_responds_within_seconds_during_a_storage_outage_and_recovers(
    proxy: HttpProxy, redis_port: int, photo: bytes, tmp_path: Path
) -> None:
    environment = {
        "CINEMO_STORAGE_URL": f"s3://{BUCKET}",
        "CINEMO_S3_ENDPOINT_URL": proxy.url,
        "CINEMO_S3_ACCESS_KEY_ID": CREDENTIALS["access_key_id"],
        "CINEMO_S3_SECRET_ACCESS_KEY": CREDENTIALS["secret_access_key"],
        "CINEMO_REQUEST_STORAGE_SECONDS": "1",
    }
    with api_running(tmp_path, redis_port, environment) as api:

        def animate() -> httpx.Response:
            files = {"image": ("photo.jpg", photo)}
            return httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files=files, timeout=30)

        for fault in ("error", "hang", "expired"):
            api.redis.flushall()
            proxy.rates = {fault: 1}
            refused = animate()
            assert (refused.status_code, refused.json()["code"]) == (503, "STORAGE.UNAVAILABLE")
            assert refused.json()["retryable"] is True
            assert int(refused.headers["retry-after"]) > 0
            assert api.queued() == 0, "there is no half of a job"
            assert httpx.get(f"{api.url}/readyz", timeout=30).status_code == 503
            assert httpx.get(f"{api.url}/healthz").status_code == 200
        proxy.heal()
        proxy.plan("error")
        assert animate().status_code == 202
