"""Every log line is a JSON object, and a request can be followed through all processes by its ID."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Api
from tests.integration.conftest import Service
from tests.processes import PYTHON, running, wait_until
from tests.receiver import receiving

SECRET_PROMPT = "a sentence that is nobody's business"
SIGNATURES = ("X-Amz-Signature", "not-a-secret")


def lines(path: Path) -> list[dict[str, Any]]:
    """The log's decoded lines; fails if one is not a JSON object."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(isinstance(each, dict) for each in found)
    return found


def test_a_request_can_be_found_in_all_logs_by_its_id(service: Service, photo: bytes) -> None:
    asked = {"x-request-id": "order-4711"}
    worker, api, sender = (service.stack.log_path(part) for part in ("worker", "api", "webhooks"))
    with receiving() as receiver:
        fields = {"prompt": SECRET_PROMPT, "num_inference_steps": 1, "webhook_url": receiver.url}
        job = service.http.post("/animate", headers=asked, data=fields, files={"image": photo}).json()
        service.wait_for(job["id"])
        wait_until(lambda: "order-4711" in sender.read_text(), 30, "the webhook in the log")
    wait_until(lambda: any(each["event"] == "job ended" and each["job"] == job["id"] for each in lines(worker)), 10)
    (request,) = [each for each in lines(api) if each.get("request_id") == "order-4711"]
    expected = {"event": "request", "method": "POST", "route": "/animate", "status": 202}
    assert request.items() >= {**expected, "tenant": "default", "job": job["id"], "level": "info"}.items()
    assert request["duration_ms"] > 0
    mine = [each for each in lines(worker) if each.get("job") == job["id"]]
    assert [each["event"] for each in mine] == ["job started", "job ended"]
    (reported,) = [each for each in lines(sender) if each.get("job") == job["id"]]
    assert (reported["event"], reported["type"], reported["status"]) == ("webhook sent", "job.succeeded", 200)
    assert (reported["request_id"], reported["tenant"]) == ("order-4711", "default")
    assert reported["trace_id"] == request["trace_id"]
    for line in mine:
        assert (line["request_id"], line["tenant"], line["attempt"]) == ("order-4711", "default", 1)
        assert line["trace_id"] == request["trace_id"]
    polled = [each for each in lines(api) if each.get("route") == "/jobs/{job_id}"]
    assert job["id"] in {each["job"] for each in polled}
    for log in (worker, api, sender):
        assert not [secret for secret in (SECRET_PROMPT, *SIGNATURES) if secret in log.read_text()]


def test_libraries_log_in_the_same_format(service: Service) -> None:
    for part, logger in (("api", "uvicorn.error"), ("worker", "celery.worker.consumer.connection")):
        reported = [each for each in lines(service.stack.log_path(part)) if each.get("logger") == logger]
        assert reported
        assert all({"timestamp", "level", "event"} <= each.keys() for each in reported)


def test_a_worker_logs_its_shutdown_as_json(redis_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEMO_REDIS_URL", f"redis://127.0.0.1:{redis_port}/0")
    monkeypatch.setenv("CINEMO_STORAGE_URL", "s3://videos")
    log = tmp_path / "log"
    # One that trains loads no model at its start.
    command = [PYTHON, "-m", "worker", "--queue", "train"]
    with running(command, log, lambda: "ready." in log.read_text()):
        pass
    assert "shutdown" in lines(log)[-1]["event"]


def test_a_process_that_cannot_start_logs_the_reason_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEMO_REDIS_URL", "redis://user:a-password@host:wrong/0")
    monkeypatch.setenv("CINEMO_STORAGE_URL", "s3://videos")
    ended = subprocess.run([PYTHON, "-m", "service"], capture_output=True, text=True, timeout=60)
    (line,) = (json.loads(line) for line in ended.stderr.splitlines())
    assert (line["event"], line["level"]) == ("invalid setting", "critical")
    assert line["error"].startswith("CINEMO_REDIS_URL: ")
    assert "a-password" not in ended.stderr


def test_a_request_without_a_route_is_logged_without_its_path(api: Api) -> None:
    asked = {"x-request-id": "lost-1"}
    httpx.get(f"{api.url}/nowhere/secret-token", headers=asked)
    # It is written when the answer is on its way.
    wait_until(lambda: "lost-1" in api.log.read_text(), 10)
    (line,) = [each for each in lines(api.log) if each.get("request_id") == "lost-1"]
    assert (line["route"], line["status"]) == ("unmatched", 404)
    assert "secret-token" not in api.log.read_text()
