"""The sync and async clients over real HTTP. Needs only pytest, so that it runs on each supported Python."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from example_service import CLIP, Server, serving

from cinemo_client import AsyncClient, Client, DownloadCorrupt, JobNotSucceeded, RequestInvalid

JOURNEY = ["job.running", "job.succeeded"]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def test_the_sync_client_creates_a_job_follows_it_and_downloads_its_video(server: Server, tmp_path: Path) -> None:
    with Client(server.url, "cin_key") as client:
        job = client.animate(b"photo", "the camera pans left", seed=7, webhook_events=["job.failed"])
        assert [event.type for event in job.events()] == JOURNEY
        assert job.wait(timeout=60).status == "succeeded"
        assert job.download(tmp_path / "video.mp4").read_bytes() == CLIP
        assert [each.id for each in client.jobs(status="succeeded")] == [job.id, job.id]
        assert job.rerun(seed=8).id == job.id
    asked_as_expected(server)


def test_the_async_client_does_the_same(server: Server, tmp_path: Path) -> None:
    async def use() -> None:
        async with AsyncClient(server.url, "cin_key") as client:
            job = await client.animate(b"photo", "the camera pans left", seed=7, webhook_events=["job.failed"])
            assert [event.type async for event in job.events()] == JOURNEY
            assert (await job.wait(timeout=60)).status == "succeeded"
            assert (await job.download(tmp_path / "video.mp4")).read_bytes() == CLIP
            assert [each.id async for each in client.jobs(status="succeeded")] == [job.id, job.id]
            assert (await job.rerun(seed=8)).id == job.id

    asyncio.run(use())
    asked_as_expected(server)


def asked_as_expected(server: Server) -> None:
    """Both clients send the same requests, and the key only to the API."""
    job = f"/jobs/{server.job['id']}"
    asked = [asked for asked, _ in server.asked]
    listing = [each for each in asked if each.startswith("GET /jobs?")]
    assert [each for each in asked if each not in listing] == [
        "POST /animate",
        f"GET {job}/events",
        f"GET {job}/events",
        f"GET {job}?wait=50",
        f"GET {job}?wait=50",
        "GET /video.mp4",
        f"POST {job}/rerun",
    ]
    assert all("status=succeeded" in each for each in listing)
    assert {asked for asked, headers in server.asked if "authorization" not in headers} == {"GET /video.mp4"}
    assert all("idempotency-key" in headers for asked, headers in server.asked if asked.startswith("POST"))


def test_errors_state_what_is_wrong(server: Server, tmp_path: Path) -> None:
    with Client(server.url) as client:
        server.clip = b"another"
        with pytest.raises(DownloadCorrupt):
            client.job("job_1").download(tmp_path / "video.mp4")
        server.job = {**server.job, "status": "canceled", "output": None}
        with pytest.raises(JobNotSucceeded, match="ended as canceled"):
            client.job("job_1").wait()
        server.problem = {
            "type": "about:blank",
            "title": "Invalid",
            "status": 422,
            "detail": "seed: too large",
            "code": "INPUT.INVALID",
            "retryable": False,
            "request_id": "r1",
            "errors": [{"pointer": "#/seed", "detail": "too large"}],
        }
        with pytest.raises(RequestInvalid, match="seed: too large") as raised:
            client.animate(b"photo", "waves", seed=-1)
        assert [each.pointer for each in raised.value.errors] == ["#/seed"]
