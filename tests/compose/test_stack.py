"""`docker compose up` on a real engine: to a finished video, a signed webhook, and through restarts.

Not part of `make test`: it needs an engine. `make compose-test` runs it.
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from cinemo_client import Client, JobHandle
from cinemo_client.models import AnimateJob
from deploy.local.redis import free_port
from tests.compose.engine import ROOT, Project, docker, provide
from tests.processes import wait_until

SERVICES = ("redis", "s3", "api", "worker", "trainer", "webhooks", "receiver")
OURS = ("api", "worker", "trainer", "webhooks", "receiver")
PYTHON_BASE = "python:3.11-slim-bookworm"
START_SECONDS = 900
"""What the images give a worker, too: on a machine that does other things meanwhile it needs minutes to load."""
JOB_SECONDS = 300
API_MEGABYTES = 170
"""Of our own layers; the base image has some 130 more, so that the whole stays below 300."""


class Stack:
    """The running stack, as its user sees it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.url = f"http://127.0.0.1:{project.settings['CINEMO_PORT']}"
        self.receiver = f"http://127.0.0.1:{project.settings['CINEMO_RECEIVER_PORT']}"
        self.latest: JobHandle[AnimateJob] | None = None
        self.s3 = f"http://127.0.0.1:{project.settings['CINEMO_S3_PORT']}"

    def wait(self) -> None:
        """Wait until every service is healthy."""
        for service in SERVICES:
            wait_until(partial(self.project.healthy, service), START_SECONDS, f"{service} being healthy")

    def animate(self, photo: Path) -> JobHandle[AnimateJob]:
        """Send a photo of two steps and wait for the video."""
        job = Client(self.url).animate(photo, "the camera pans left", num_inference_steps=2, detail="off")
        job.wait(timeout=JOB_SECONDS)
        self.latest = job
        return job

    def still_has_the_latest(self, folder: Path) -> bool:
        """Whether the last video can still be downloaded intact."""
        assert self.latest is not None
        with Client(self.url) as client:
            return client.job(self.latest.job.id).download(folder / "before.mp4").stat().st_size > 0

    def webhooks(self) -> list[dict[str, Any]]:
        """The webhooks that the receiver has verified and accepted."""
        shown: list[dict[str, Any]] = httpx.get(self.receiver).raise_for_status().json()
        return shown

    def heard_of(self, job: JobHandle[AnimateJob]) -> bool:
        return any(each["job"] == job.job.id and each["type"] == "job.succeeded" for each in self.webhooks())


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Images built and everything healthy; removed afterwards with its volumes."""
    ports = {name: str(free_port()) for name in ("CINEMO_PORT", "CINEMO_S3_PORT", "CINEMO_RECEIVER_PORT")}
    project = Project("cinemo-test", {"CINEMO_BUILD_NETWORK": "host", **ports})
    project("down", "--volumes", "--remove-orphans")
    stood_in = provide(project.images())
    print(f"stood in for: {', '.join(stood_in) or 'nothing'}")
    project("build", "api", "worker")
    try:
        project("up", "--detach")
        running = Stack(project)
        running.wait()
        yield running
    finally:
        print(project("logs", "--no-color", "--tail", "60", check=False))
        project("down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="module")
def photo_path(photo: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    path.write_bytes(photo)
    return path


def test_a_photo_becomes_a_video_in_the_bucket_and_a_verified_webhook(
    stack: Stack, photo_path: Path, tmp_path: Path
) -> None:
    job = stack.animate(photo_path)
    video = job.job.output.video if job.job.output else None
    assert video is not None
    assert video.url.startswith(f"{stack.s3}/cinemo/jobs/{job.job.id}/1/video.mp4?")
    # The client compares size and checksum with what the job says.
    assert job.download(tmp_path / "video.mp4").read_bytes()[4:8] == b"ftyp"
    in_bucket = """
from service.contract.settings import Settings
from service.storage import open_object_store
print(*open_object_store(Settings()).list("jobs/"), sep="\\n")
"""
    keys = stack.project("exec", "-T", "api", "python", "-c", in_bucket).split()
    assert f"jobs/{job.job.id}/1/video.mp4" in keys
    wait_until(partial(stack.heard_of, job), 30, "the webhook's arrival")


def test_the_receiver_rejects_messages_that_the_service_has_not_signed(stack: Stack) -> None:
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "0", "webhook-signature": "v1,AAAA"}
    assert httpx.post(stack.receiver, json={"type": "job.succeeded"}, headers=headers).status_code == 400


@pytest.mark.parametrize("service", SERVICES)
def test_restarting_any_component_loses_nothing(stack: Stack, photo_path: Path, tmp_path: Path, service: str) -> None:
    stack.project("restart", service)
    stack.wait()
    assert stack.still_has_the_latest(tmp_path)
    after = stack.animate(photo_path)
    wait_until(partial(stack.heard_of, after), 30, "the webhook's arrival")


def test_a_second_up_preserves_secrets_and_data(stack: Stack, photo_path: Path, tmp_path: Path) -> None:
    stack.project("down")
    stack.project("up", "--detach")
    stack.wait()
    assert stack.still_has_the_latest(tmp_path)
    assert stack.animate(photo_path).job.output is not None


def test_the_documented_backup_restores_everything(stack: Stack, photo_path: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "compose.md").read_text()
    backup, restore = (block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "tar -C" in block)
    stack.project.script(backup, tmp_path)
    stack.project.script(restore, tmp_path)
    stack.wait()
    assert stack.still_has_the_latest(tmp_path)
    wait_until(partial(stack.heard_of, stack.animate(photo_path)), 30, "the webhook's arrival")


@pytest.mark.parametrize("service", OURS)
def test_our_containers_run_unprivileged_with_a_read_only_file_system(stack: Stack, service: str) -> None:
    found = stack.project.container(service)
    assert found["Config"]["User"] == "10001:10001"
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    ports = found["NetworkSettings"]["Ports"]
    assert {each["HostIp"] for published in ports.values() for each in published or ()} <= {"127.0.0.1"}


@pytest.mark.parametrize("service", ["api", "worker", "trainer", "webhooks"])
def test_the_doctor_finds_no_problem_in_a_container(stack: Stack, service: str) -> None:
    report = json.loads(stack.project("exec", "-T", service, "cinemo", "doctor", "--json"))
    found = {each["check"]: each for each in report["checks"]}
    assert {each["status"] for each in report["checks"]} == {"ok", "skipped"}, report
    # Presigned URLs are for clients, which are outside.
    assert found["storage.download_url"]["status"] == found["storage.upload_url"]["status"] == "skipped"
    assert found["model"]["status"] == ("ok" if service in ("worker", "trainer") else "skipped")


def test_redis_and_workers_neither_accept_outside_connections_nor_make_any(stack: Stack) -> None:
    for service in ("redis", "worker", "trainer"):
        found = stack.project.container(service)["NetworkSettings"]
        assert set(found["Networks"]) == {"cinemo-test_inside"}
        assert not any(found["Ports"].values())
    assert json.loads(docker("network", "inspect", "cinemo-test_inside"))[0]["Internal"]


def test_the_api_image_is_small_and_without_torch_or_build_tools(stack: Stack) -> None:
    absent = "import importlib.util as i; print([m for m in ('torch', 'numpy', 'pip', 'setuptools') if i.find_spec(m)])"
    assert docker("run", "--rm", "cinemo-api", "python", "-c", absent).strip() == "[]"
    sizes = [int(docker("image", "inspect", "--format", "{{.Size}}", name)) for name in ("cinemo-api", PYTHON_BASE)]
    assert sizes[0] - sizes[1] < API_MEGABYTES * 1024**2
