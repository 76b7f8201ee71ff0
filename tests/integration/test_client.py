"""The Python client against a real API, over connections that break."""

import asyncio
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cinemo_client import AsyncClient, Client, DownloadCorrupt, JobNotSucceeded, NotFound, WaitTimedOut
from cinemo_client.models import DeliveryStatus, File
from cinemo_client.protocol import Connection
from cinemo_client.streams import Download
from cinemo_client.sync import Transport
from service.contract.record import Job, JobMetrics, JobOutput, new_job_id
from service.contract.requests import JobOptions
from service.storage import LocalStore
from tests.conftest import Api
from tests.jobs import FILE, LOST, VIDEO, JobStore, new_job, new_training, step

CLIP = bytes(range(256)) * 1000
PIECE_BYTES = 500
REPORTS = 60
"""So many that an answer with all events of a job is cut more than once."""


@pytest.fixture
def store(api: Api) -> JobStore:
    return JobStore(api.redis)


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    with Client(api.url) as client:
        yield client


def begun(store: JobStore) -> Job:
    store.submissions.create(new_job(new_job_id()))
    job = store.attempts.dequeue("animate", "worker")
    assert job is not None
    return job


def succeeded(api: Api, store: JobStore, content: bytes = CLIP) -> Job:
    """A job with many events, and its video in the storage."""
    job = begun(store)
    for _ in range(REPORTS):
        store.attempts.report_progress(job, step(1))
    key = f"jobs/{job.id}/1/video.mp4"
    LocalStore(api.storage_folder, api.url, "for tests alone").put_bytes(key, content, "video/mp4")
    video = VIDEO.model_copy(update={"key": key, "sha256": hashlib.sha256(CLIP).hexdigest(), "bytes": len(content)})
    store.attempts.succeed(job, JobOutput(video=video, poster=FILE, manifest=FILE), JobMetrics())
    return job


def send_on(near: socket.socket, far: socket.socket) -> None:
    """Forward what the client sends, until either side closes."""
    with suppress(OSError):
        while piece := near.recv(65_536):
            far.sendall(piece)


@contextmanager
def cutting(url: str, after_bytes: int, times: int) -> Iterator[tuple[str, list[int]]]:
    """A proxy that breaks the first connections after so many bytes of a response, and records the bytes."""
    target = urlsplit(url)
    passed: list[int] = []

    def serve(near: socket.socket) -> None:
        number = len(passed)
        passed.append(0)
        with closing(near), closing(socket.create_connection((target.hostname, target.port))) as far:
            threading.Thread(target=send_on, args=(near, far), daemon=True).start()
            while piece := far.recv(PIECE_BYTES):
                near.sendall(piece)
                passed[number] += len(piece)
                if number < times and passed[number] >= after_bytes:
                    near.shutdown(socket.SHUT_RDWR)
                    return

    def listen() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(near,), daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", passed
        listener.shutdown(socket.SHUT_RDWR)


def test_events_resume_after_a_broken_connection_and_each_arrives_once(
    api: Api, store: JobStore, client: Client
) -> None:
    job_id = succeeded(api, store).id
    whole = [event.id for event in client.job(job_id).events()]
    assert len(whole) == REPORTS + 3
    with cutting(api.url, 4000, 2) as (url, passed), Client(url) as cut:
        assert [event.id for event in cut.job(job_id).events()] == whole
    assert len(passed) == 3


def test_there_are_no_events_after_the_last_one(api: Api, store: JobStore, client: Client) -> None:
    handle = client.job(succeeded(api, store).id)
    *_, last = handle.events()
    assert last.type == "job.succeeded"
    assert list(handle.events(after=last.id)) == []


def test_a_request_whose_response_was_lost_creates_one_job(api: Api, photo: bytes) -> None:
    with cutting(api.url, 10, 2) as (url, passed), Client(url) as client:
        handle = client.animate(photo, "waves", seed=3)
    assert handle.job.request.seed == 3
    assert len(passed) == 3
    assert api.redis.llen("animate") == 1


def test_an_interrupted_download_restarts_and_completes(api: Api, tmp_path: Path) -> None:
    storage = LocalStore(api.storage_folder, api.url, "for tests alone")
    storage.put_bytes("video.mp4", CLIP, "video/mp4")
    with cutting(api.url, 100_000, 2) as (url, passed):
        place = storage.presign("video.mp4", 60).replace(api.url, url)
        file = File(
            url=place,
            url_expires_at=datetime.now(UTC),
            content_type="video/mp4",
            bytes=len(CLIP),
            sha256=hashlib.sha256(CLIP).hexdigest(),
        )
        list(Transport(Connection(url)).stream(Download(file, tmp_path / "video.mp4", Connection(url))))
    assert len(passed) == 3
    assert (tmp_path / "video.mp4").read_bytes() == CLIP
    assert [each.name for each in tmp_path.iterdir()] == ["video.mp4"]


def test_a_download_with_another_checksum_is_discarded(
    api: Api, store: JobStore, client: Client, tmp_path: Path
) -> None:
    handle = client.job(succeeded(api, store, content=CLIP[1:]).id)
    with pytest.raises(DownloadCorrupt):
        handle.download(tmp_path / "video.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_job_raises_an_error_with_its_code(store: JobStore, client: Client, tmp_path: Path) -> None:
    job = begun(store)
    handle = client.job(job.id)
    with pytest.raises(WaitTimedOut) as timed_out:
        handle.wait(timeout=0)
    assert timed_out.value.job.status == "running"
    store.attempts.fail(job, LOST)
    for call in (handle.wait, lambda: handle.download(tmp_path / "video.mp4")):
        with pytest.raises(JobNotSucceeded) as raised:
            call()
        assert (raised.value.code, raised.value.retryable) == ("WORKER.LOST", True)


def test_a_queued_job_can_be_canceled_and_rerun(client: Client, photo: bytes) -> None:
    handle = client.animate(photo, "waves", seed=4)
    assert handle.cancel().status == "canceled"
    with pytest.raises(JobNotSucceeded) as raised:
        handle.wait()
    assert raised.value.code == "JOB.CANCELED"
    again = handle.rerun(seed=5)
    assert again.id != handle.id
    assert (again.job.request.seed, again.job.request.prompt) == (5, "waves")


def test_jobs_of_all_kinds_are_listed_over_many_pages(store: JobStore, client: Client) -> None:
    made = [new_job(new_job_id()) if number % 2 else new_training(new_job_id()) for number in range(7)]
    for job in made:
        store.submissions.create(job)
    listed = [each.job for each in client.jobs(page_size=2)]
    assert [job.id for job in listed] == sorted((job.id for job in made), reverse=True)
    assert {job.request.name for job in listed if job.kind == "train"} == {"toy"}
    assert sum(1 for _ in client.jobs(kind="train", page_size=3)) == 4
    assert list(client.jobs(status="failed")) == []


def test_unknown_ids_raise_not_found(client: Client) -> None:
    with pytest.raises(NotFound) as raised:
        client.job("job_unknown")
    assert raised.value.request_id
    with pytest.raises(NotFound):
        client.delete_model("nothing@0123456789ab")
    assert [model.name for model in client.models()] == ["tiny", "tiny-turbo"]


def test_the_async_client_behaves_alike(api: Api, store: JobStore, photo: bytes, tmp_path: Path) -> None:
    job = succeeded(api, store)

    async def use(url: str) -> None:
        async with AsyncClient(url) as client:
            handle = await client.job(job.id)
            assert (await handle.wait()).status == "succeeded"
            assert len([event async for event in handle.events()]) == REPORTS + 3
            await handle.download(tmp_path / "video.mp4")
            with pytest.raises(NotFound):
                await client.job("job_unknown")
            waiting = await client.animate(photo, "waves")
            assert (await waiting.cancel()).status == "canceled"
            assert (await waiting.rerun(seed=1)).job.request.seed == 1
            assert len([each async for each in client.jobs(page_size=1)]) == 3
            assert (await client.models())[0].default

    with cutting(api.url, 4000, 2) as (url, _):
        asyncio.run(use(url))
    assert (tmp_path / "video.mp4").read_bytes() == CLIP


def test_webhooks_are_sent_again_by_job_and_by_time(api: Api, client: Client, store: JobStore) -> None:
    began = datetime.now(UTC)
    reported = new_job(new_job_id())
    reported = reported.model_copy(update={"options": JobOptions(webhook_url="https://receiver.example.com/")})
    store.submissions.create(reported)
    store.cancel(reported)
    handle = client.job(reported.id)
    assert [each.type for each in handle.deliveries()] == ["job.canceled"]
    assert (handle.redeliver(), handle.redeliver(DeliveryStatus.DELIVERED)) == (1, 0)
    assert (client.redeliver(began), client.redeliver(datetime.now(UTC))) == (1, 0)
