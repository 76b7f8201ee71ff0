"""Servers of pictures and receivers of webhooks see the configured user agent."""

import os
from pathlib import Path

import httpx
import pytest

from tests.conftest import api_running
from tests.integration.internet import INSIDE, saying, serving
from tests.processes import PYTHON, running
from tests.receiver import receiving

OURS = "Cinemo (+https://example.com/contact)"


@pytest.mark.parametrize(("given", "reported"), [({}, "Cinemo"), ({"CINEMO_OUTBOUND_USER_AGENT": OURS}, OURS)])
def test_outgoing_requests_have_the_configured_user_agent(
    given: dict[str, str], reported: str, redis_port: int, photo: bytes, tmp_path: Path
) -> None:
    changes = {"CINEMO_OUTBOUND_ALLOWED_NETWORKS": '["127.0.0.0/8"]', **given}
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(photo)}\r\n\r\n"
    with (
        receiving() as receiver,
        serving(saying(head.encode() + photo), INSIDE) as pictures,
        api_running(tmp_path, redis_port, changes) as api,
    ):
        url = f"http://{INSIDE}:{pictures.port}/photo.jpg"
        body = {"prompt": "waves", "image_url": url, "webhook_url": receiver.url}
        job = httpx.post(f"{api.url}/animate", json=body, timeout=60).raise_for_status().json()
        httpx.post(job["urls"]["cancel"]).raise_for_status()
        sender = {
            **os.environ,
            **changes,
            "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "CINEMO_STORAGE_URL": f"file://{api.storage_folder}",
            "CINEMO_URL_SIGNING_KEY": "for tests alone",
            "CINEMO_PUBLIC_BASE_URL": api.url,
        }
        command = [PYTHON, "-m", "worker", "--queue", "webhooks"]
        with running(command, tmp_path / "sender.log", lambda: bool(receiver.received), sender):
            pass
    [asked] = pictures.heads
    assert f"user-agent: {reported}\r\n" in asked.decode().replace("User-Agent", "user-agent")
    assert receiver.types == ["job.canceled"]
    assert receiver.received[0].headers["user-agent"] == reported
