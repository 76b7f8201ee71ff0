"""An operator's policy decides about requests and videos in the whole stack, and decisions are logged."""

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from deploy.cli import app
from tests.conftest import s3_variables
from tests.integration.conftest import SMALL, Service, running_over_s3
from tests.policies import ALLOW, SECRET, Policy, policy_running
from tests.video_files import numbered, write

REFUSED = {"decision": "refuse", "reason": "not in this house"}


@pytest.fixture(scope="module")
def policies() -> Iterator[Policy]:
    with policy_running() as running:
        yield running


@pytest.fixture(scope="module")
def service(s3_endpoint: str, policies: Policy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    variables = {
        "CINEMO_POLICY_URL": policies.url,
        "CINEMO_POLICY_SECRET": SECRET,
        "CINEMO_POLICY_RESULTS": "true",
        # A failing policy is asked each time, so that no test depends on another.
        "CINEMO_POLICY_BREAKER_FAILURES": "1000",
    }
    with running_over_s3(s3_endpoint, tmp_path_factory.mktemp("stack"), variables) as service:
        yield service


@pytest.fixture
def policy(policies: Policy, service: Service) -> Policy:
    policies.answer = lambda _: ALLOW
    policies.asked.clear()
    return policies


def post(service: Service, photo: bytes, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    data = {"prompt": "pan left", "num_inference_steps": 2, **SMALL, **fields}
    return service.http.post("/animate", data=data, files={"image": photo}, headers=headers)


def at(stage: str, answer: Any) -> Any:
    """Give this answer at one stage, and allow everything else."""
    return lambda question: answer if question["stage"] == stage else ALLOW


def stages(policy: Policy) -> list[str]:
    return [question["stage"] for question in policy.asked]


def decisions(service: Service, job_id: str) -> list[tuple[str, str]]:
    events = service.http.get(f"/jobs/{job_id}/events").json()["events"]
    return [(each["data"]["stage"], each["data"]["decision"]) for each in events if each["type"] == "policy"]


def audited(service: Service, *options: str) -> list[dict[str, Any]]:
    """The output of `cinemo audit`."""
    variables = {
        "CINEMO_REDIS_URL": service.stack.environment["CINEMO_REDIS_URL"],
        **s3_variables("http://s3.internal"),
    }
    result = CliRunner().invoke(app, ["audit", *options], env=variables)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def stored(service: Service) -> set[str]:
    return set(service.storage.list(""))


def listed(service: Service) -> list[str]:
    return [job["id"] for job in service.http.get("/jobs").json()["jobs"]]


def test_the_policy_sees_photo_and_prompt_before_queueing_and_the_video_before_delivery(
    service: Service, policy: Policy, photo: bytes
) -> None:
    job = service.wait_for(post(service, photo, seed=1).json()["id"])
    assert job["status"] == "succeeded", job["error"]
    asked_first, asked_last = policy.asked
    assert (asked_first["stage"], asked_first["kind"], asked_first["tenant"]) == ("request", "animate", "default")
    assert asked_first["request"] == job["request"]
    assert asked_first["image"]["content_type"] == "image/jpeg"
    assert (asked_last["stage"], asked_last["job"]) == ("result", job["id"])
    assert asked_last["video"]["content_type"] == "video/mp4"
    assert decisions(service, job["id"]) == [("request", "allow"), ("result", "allow")]


def test_a_refused_request_leaves_only_its_entry_in_the_audit_log(
    service: Service, policy: Policy, photo: bytes
) -> None:
    policy.answer = at("request", REFUSED)
    before = stored(service), listed(service)
    answer = post(service, photo, prompt="explode", headers={"Idempotency-Key": "refused", "x-request-id": "tried-it"})
    assert (answer.status_code, answer.json()["code"]) == (403, "POLICY.REFUSED")
    assert answer.json()["detail"] == REFUSED["reason"]
    assert (stored(service), listed(service)) == before
    entry = audited(service, "--decision", "refuse", "--tenant", "default")[-1]
    assert (
        entry.items()
        >= {
            "stage": "request",
            "reason": REFUSED["reason"],
            "prompt": "explode",
            "request_id": "tried-it",
            "kind": "animate",
        }.items()
    )
    assert "job" not in entry
    # The key is free: the same request may be sent again, and the policy may have changed its mind.
    policy.answer = at("request", ALLOW)
    assert post(service, photo, prompt="explode", headers={"Idempotency-Key": "refused"}).status_code == 202


def test_a_changed_prompt_becomes_the_jobs_prompt(service: Service, policy: Policy, photo: bytes) -> None:
    policy.answer = at("request", {"decision": "change", "prompt": "zoom in"})
    job = post(service, photo, prompt="explode").json()
    assert job["request"]["prompt"] == "zoom in"
    entry = audited(service)[-1]
    assert (entry["job"], entry["prompt"], entry["changed_prompt"]) == (job["id"], "explode", "zoom in")


def test_a_decision_with_an_invalid_prompt_counts_as_none(service: Service, policy: Policy, photo: bytes) -> None:
    policy.answer = at("request", {"decision": "change", "prompt": " "})
    assert post(service, photo).json()["code"] == "POLICY.UNAVAILABLE"
    assert "must not be empty" in audited(service)[-1]["error"]


def test_a_refused_video_is_not_stored_and_its_job_states_the_reason(
    service: Service, policy: Policy, photo: bytes
) -> None:
    policy.answer = at("result", REFUSED)
    job = service.wait_for(post(service, photo, seed=2).json()["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "POLICY.REFUSED")
    assert (job["error"]["message"], job["error"]["retryable"]) == (REFUSED["reason"], False)
    assert not service.storage.list(f"jobs/{job['id']}")
    assert decisions(service, job["id"]) == [("request", "allow"), ("result", "refuse")]


def test_nothing_of_a_video_is_visible_before_it_is_approved(service: Service, policy: Policy, photo: bytes) -> None:
    job_id = post(service, photo, num_inference_steps=40, preview="true").json()["id"]
    assert service.wait_for(job_id)["status"] == "succeeded"
    assert "preview" not in {event.type for event in service.jobs.queries.events(job_id)}


def test_while_the_policy_is_unavailable_requests_fail_and_can_be_retried(
    service: Service, policy: Policy, photo: bytes
) -> None:
    policy.answer = at("request", 500)
    answer = post(service, photo)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (503, "POLICY.UNAVAILABLE", True)
    assert answer.headers["retry-after"]
    assert (
        audited(service)[-1].items()
        >= {
            "stage": "request",
            "decision": "unavailable",
            "error": "the policy answered 500",
        }.items()
    )


def test_a_finished_video_waits_for_a_policy_that_is_briefly_unavailable(
    service: Service, policy: Policy, photo: bytes
) -> None:
    away = iter([500, 500])
    policy.answer = lambda question: next(away, ALLOW) if question["stage"] == "result" else ALLOW
    job = service.wait_for(post(service, photo, seed=3).json()["id"])
    assert job["status"] == "succeeded", job["error"]
    assert stages(policy) == ["request", "result", "result", "result"]


def test_a_video_without_a_decision_is_not_delivered(service: Service, policy: Policy, photo: bytes) -> None:
    policy.answer = at("result", 500)
    job = service.wait_for(post(service, photo, seed=6).json()["id"])
    assert (job["status"], job["error"]["code"], job["error"]["retryable"]) == ("failed", "POLICY.UNAVAILABLE", True)
    assert not service.storage.list(f"jobs/{job['id']}")
    assert audited(service)[-1].items() >= {"stage": "result", "decision": "unavailable", "job": job["id"]}.items()


def test_a_job_can_be_canceled_while_its_video_waits_for_the_policy(
    service: Service, policy: Policy, photo: bytes
) -> None:
    waiting = threading.Event()

    def away(question: dict[str, Any]) -> Any:
        if question["stage"] == "request":
            return ALLOW
        waiting.set()
        return 500

    policy.answer = away
    job = post(service, photo, seed=4).json()
    assert waiting.wait(60)
    service.http.post(job["urls"]["cancel"])
    assert service.wait_for(job["id"])["status"] == "canceled"


def test_the_policy_is_also_asked_about_edits_reruns_and_the_openai_dialect(
    service: Service, policy: Policy, photo: bytes, tmp_path: Path
) -> None:
    job = post(service, photo, seed=5).json()
    policy.answer = at("request", REFUSED)
    policy.asked.clear()
    video = write(tmp_path / "v.mp4", [numbered(number) for number in range(16)]).read_bytes()
    edited = service.http.post("/edit", data={"prompt": "e"}, files={"video": video, "image": photo})
    rerun = service.http.post(f"/jobs/{job['id']}/rerun", json={"prompt": "r"})
    spoken = service.http.post("/v1/videos", data={"prompt": "v"}, files={"input_reference": photo})
    assert [each.status_code for each in (edited, rerun, spoken)] == [403, 403, 403]
    assert [(each["kind"], each["request"]["prompt"]) for each in policy.asked] == [
        ("edit", "e"),
        ("animate", "r"),
        ("animate", "v"),
    ]
    assert len({hashlib.sha256(each["image"]["data"].encode()).digest() for each in policy.asked}) == 1
    assert spoken.json()["error"]["code"] == "POLICY.REFUSED"


def test_decisions_are_counted(service: Service, policy: Policy, photo: bytes) -> None:
    name = 'cinemo_policy_decisions_total{decision="refuse",stage="request"}'

    def counted() -> float:
        lines = [line for line in service.http.get("/metrics").text.splitlines() if line.startswith(name)]
        return float(lines[0].rpartition(" ")[2]) if lines else 0

    before = counted()
    policy.answer = at("request", REFUSED)
    post(service, photo)
    assert counted() == before + 1
