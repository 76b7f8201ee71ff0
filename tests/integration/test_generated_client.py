"""A client generated from the OpenAPI document by openapi-python-client works with the real API.

It runs in a process of its own, with the generated package on its path, and prints what its types make of the answers.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.lock import ROOT
from tests.conftest import Api

PROGRAM = """
import json
import sys
from base64 import b64encode
from io import BytesIO
from pathlib import Path

from generated import Client
from generated.api.animate import animate
from generated.api.jobs import cancel_job, get_job, list_jobs
from generated.models import AnimateFilesBody, AnimateFilesBodyMetadata, AnimateFilesBodyWebhookEventsItem
from generated.models import AnimateJob, AnimateJsonBody, JobStatus, Problem
from generated.types import File

url, photo = sys.argv[1:]
client = Client(url, raise_on_unexpected_status=True)
body = AnimateFilesBody(
    "waves",
    image=File(BytesIO(Path(photo).read_bytes()), "photo.jpg", "image/jpeg"),
    metadata=AnimateFilesBodyMetadata.from_dict({"order": "4711"}),
    webhook_events=[AnimateFilesBodyWebhookEventsItem.JOB_SUCCEEDED, AnimateFilesBodyWebhookEventsItem.JOB_FAILED],
    reuse=False,
    seed=5,
)
made = animate.sync(client=client, body=body, idempotency_key="one")
assert isinstance(made, AnimateJob), made
polled = get_job.sync(made.id, client=client)
listed = list_jobs.sync(client=client, status=JobStatus.QUEUED, created_after=made.created_at)
canceled = cancel_job.sync(made.id, client=client)
picture = {"prompt": "waves", "image_base64": b64encode(Path(photo).read_bytes()).decode()}
typed = animate.sync(client=client, body=AnimateJsonBody(**picture, width=None))
refused = animate.sync(client=client, body=AnimateJsonBody(**picture, fps=0))
assert [type(each) for each in (polled, canceled, typed, refused)] == [AnimateJob, AnimateJob, AnimateJob, Problem]
assert [type(job) for job in listed.jobs] == [AnimateJob]
jobs = {"made": made, "polled": polled, "listed": listed, "canceled": canceled, "refused": refused}
print(json.dumps({name: each.to_dict() for name, each in jobs.items()}))
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated package."""
    folder = tmp_path_factory.mktemp("client")
    document = ROOT / "docs" / "openapi.json"
    # The generator knows no pictures; they are bytes to it.
    config = folder / "config.yaml"
    config.write_text("content_type_overrides: {image/webp: application/octet-stream}")
    options = [
        "--config",
        str(config),
        "--meta",
        "none",
        "--path",
        str(document),
        "--output-path",
        str(folder / "generated"),
    ]
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", *options]
    # It formats what it has made by ruff.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_generated_client_creates_polls_lists_and_cancels_a_job(
    generated: Path, api: Api, photo: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(photo)
    command = [sys.executable, "-c", PROGRAM, api.url, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=generated)
    assert done.returncode == 0, done.stderr
    reported: dict[str, Any] = json.loads(done.stdout)
    made = reported["made"]
    assert (made["status"], made["metadata"], made["reuse"]) == ("queued", {"order": "4711"}, False)
    assert made["webhook_events"] == ["job.succeeded", "job.failed"]
    assert made["request"]["seed"] == 5
    assert (api.storage_folder / "data" / "inputs" / made["id"] / "image.jpg").read_bytes() == photo
    assert reported["polled"] == made
    assert reported["listed"] == {"jobs": [made], "next_cursor": None}
    assert (reported["canceled"]["id"], reported["canceled"]["status"]) == (made["id"], "canceled")
    problem = reported["refused"]
    assert (problem["status"], problem["code"]) == (422, "INPUT.INVALID")
    assert [each["pointer"] for each in problem["errors"]] == ["#/fps"]
