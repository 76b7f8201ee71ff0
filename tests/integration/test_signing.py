"""Jobs whose videos must be signed use the current key, or fail, which is reported beforehand."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cinemo_client import Client, NotFound
from cinemo_core.clips import read_video
from cinemo_core.encoding import write_video
from cinemo_core.training.sources import photo_path
from cinemo_core.watermark.detect import read_watermark
from cinemo_spec.marking.statement import SourceType
from deploy.cli import app
from service.contract.settings import Settings
from service.store.connections import connect
from tests.integration.conftest import SMALL, Service, running_over_s3
from tests.integration.doctor.examination import found
from tests.signing import UNTRUSTED, Verdict, expired_key, new_key, verdict
from tests.video_files import numbered, write
from tests.watermark.attacks import as_h264

WATERMARK = "5eed1234"
WAIT_SECONDS = 60
"""Beats of a worker's heart are seconds apart."""


class Secrets:
    """The stack's folder of secrets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, certificate: str, key: str) -> None:
        """Replace the key like an operator: one file after the other, each atomically."""
        for name, text in (("certificate", certificate), ("key", key)):
            new = self.folder / "new"
            new.write_text(text)
            new.replace(self.folder / f"cinemo_signing_{name}")

    def remove_key(self) -> None:
        (self.folder / "cinemo_signing_key").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return Secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def service(s3_endpoint: str, secrets: Secrets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    variables = {
        "CINEMO_MARKING": "required",
        "CINEMO_WATERMARK_ID": WATERMARK,
        "CINEMO_SECRETS_FOLDER": str(secrets.folder),
        "CINEMO_LEASE_SECONDS": "8",
    }
    with running_over_s3(s3_endpoint, tmp_path_factory.mktemp("stack"), variables) as service:
        yield service


@pytest.fixture
def signer(secrets: Secrets, service: Service) -> str:
    """The signer of a key of the test's own, which the worker has read."""
    secrets.remove_key()
    wait_until(lambda: service.http.get("/readyz").status_code == 503)
    key, name = new_key(), "Tester"
    secrets.put(key.chain, key.private_key)
    wait_until(lambda: service.http.get("/readyz").status_code == 200)
    return name


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < until, "it never was"
        time.sleep(0.2)


def downloaded(file: dict[str, Any], path: Path) -> Path:
    content = httpx.get(file["url"]).raise_for_status().content
    assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    path.write_bytes(content)
    return path


def judged(job: dict[str, Any], folder: Path, name: str = "video") -> Verdict:
    """The verdict of C2PA's library on a delivered file."""
    output = job["output"]
    sidecar = output["credentials"] if name == "video" else None
    manifest = downloaded(sidecar, folder / "a.c2pa").read_bytes() if sidecar else None
    return verdict(downloaded(output[name], folder / name), output[name]["content_type"], manifest)


def manifest_of(job: dict[str, Any]) -> dict[str, Any]:
    reported: dict[str, Any] = json.loads(httpx.get(job["output"]["manifest"]["url"]).content)
    return reported


def metrics(service: Service) -> dict[str, float]:
    lines = service.http.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
def test_videos_of_each_format_and_their_posters_are_signed(
    service: Service, signer: str, photo: bytes, tmp_path: Path, kind: str
) -> None:
    job = service.wait_for(service.animate(photo, format=kind, seed=6001)["id"])
    assert job["output"]["signing"] == {"signed": True, "signer": signer, "job": job["id"], "error": None}
    for name in ("video", "poster", "spritesheet"):
        found = judged(job, tmp_path, name)
        assert (found.state, found.failures) == ("Valid", {UNTRUSTED})
        assert found.actions[0]["parameters"]["cinemo.job"] == job["id"]
        stored = service.storage.head(f"inputs/{job['id']}/image.jpg")
        assert stored is not None
        assert found.manifest["ingredients"][0]["description"] == f"SHA-256 {stored.sha256}"
    manifest = manifest_of(job)
    assert manifest["marking"]["signing"] == job["output"]["signing"]
    assert manifest["timings"]["signing_ms"] >= 0
    assert (job["output"]["credentials"] is not None) == ("credentials" in manifest["files"]) == (kind == "webm")


def test_nothing_of_a_video_is_visible_before_it_is_signed(service: Service, signer: str, photo: bytes) -> None:
    job_id = service.animate(photo, num_inference_steps=40, preview="true", seed=6002)["id"]
    assert service.wait_for(job_id)["output"]["signing"]["signer"] == signer
    assert "preview" not in {event.type for event in service.jobs.queries.events(job_id)}


def test_an_edits_credentials_state_that_the_video_was_opened_and_edited_with_hashes_only(
    service: Service, signer: str, photo: bytes, tmp_path: Path
) -> None:
    video = write(tmp_path / "source.mp4", [numbered(number) for number in range(8)])
    fields = {"num_inference_steps": 2, "frames": 8, **SMALL}
    files = {"video": ("v", video.read_bytes()), "image": ("i", photo)}
    job = service.wait_for(service.http.post("/edit", data=fields, files=files).json()["id"])
    assert job["output"]["signing"]["signer"] == signer
    found = judged(job, tmp_path)
    assert (found.state, found.failures) == ("Valid", {UNTRUSTED})
    assert [each["action"] for each in found.actions] == ["c2pa.opened", "c2pa.edited"]
    assert found.actions[1]["digitalSourceType"] == job["output"]["digital_source_type"] == SourceType.EDITED.url
    reported = {each["title"]: (each["relationship"], each["description"]) for each in found.manifest["ingredients"]}
    sent = hashlib.sha256(video.read_bytes()).hexdigest()
    assert reported["video"] == ("parentOf", f"SHA-256 {sent}")
    assert reported["photo"][0] == "inputTo"


def test_video_and_poster_have_a_watermark_that_survives_without_metadata(
    service: Service, signer: str, tmp_path: Path
) -> None:
    coffee = photo_path("coffee.png").read_bytes()
    job = service.wait_for(service.animate(coffee, width=640, height=360, frames=8, seed=6003)["id"])
    assert job["output"]["watermark_id"] == manifest_of(job)["marking"]["watermark_id"] == WATERMARK
    for name in ("video", "poster"):
        found = read_watermark(downloaded(job["output"][name], tmp_path / name))
        assert found is not None
        assert found.service_id == int(WATERMARK, 16)
    write_video(tmp_path / "stripped.mp4", as_h264(list(read_video(tmp_path / "video")[0]), tmp_path))
    said = CliRunner().invoke(app, ["verify", str(tmp_path / "stripped.mp4")])
    assert said.exit_code == 0
    assert WATERMARK in said.output


def test_a_webms_credentials_are_stored_downloaded_and_deleted_like_its_other_files(
    service: Service, signer: str, photo: bytes, tmp_path: Path
) -> None:
    job = service.wait_for(service.animate(photo, format="webm", seed=6002)["id"])
    names = ("video", "poster", "spritesheet", "manifest", "credentials")
    kept = connect(service.stack.environment["CINEMO_REDIS_URL"]).hget("{cinemo}:usage:default", f"jobs/{job['id']}")
    assert int(kept or 0) == sum(job["output"][name]["bytes"] for name in names)
    with Client(service.stack.url) as client:
        path = client.job(job["id"]).download(tmp_path / "video.c2pa", "credentials")
        assert path.stat().st_size == job["output"]["credentials"]["bytes"]
        mp4 = client.job(service.wait_for(service.animate(photo, seed=6002)["id"])["id"])
        with pytest.raises(NotFound):
            mp4.download(tmp_path / "none", "credentials")
    assert f"jobs/{job['id']}/1/video.c2pa" in service.storage.list(f"jobs/{job['id']}/")
    assert service.http.delete(f"/jobs/{job['id']}").status_code == 204
    assert service.storage.list(f"jobs/{job['id']}/") == {}


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_reused_files_keep_valid_credentials_that_name_the_original_job(
    service: Service, signer: str, photo: bytes, tmp_path: Path, kind: str
) -> None:
    first = service.wait_for(service.animate(photo, format=kind, seed=6003)["id"])
    service.wait_for(service.animate(photo, format=kind, seed=6003)["id"])
    third = service.wait_for(service.animate(photo, format=kind, seed=6003)["id"])
    assert third["reused_from"] is not None
    assert third["output"]["signing"] == {"signed": True, "signer": signer, "job": first["id"], "error": None}
    found = judged(third, tmp_path)
    assert (found.state, found.actions[0]["parameters"]["cinemo.job"]) == ("Valid", first["id"])
    manifest = manifest_of(third)
    assert manifest["job"] == third["id"]
    assert manifest["marking"]["signing"]["job"] == first["id"]
    for name, file in manifest["files"].items():
        assert file["key"].startswith(f"jobs/{third['id']}/")
        assert file["sha256"] == third["output"][name]["sha256"]


def test_a_new_key_applies_without_a_restart_and_prevents_reuse_of_older_output(
    service: Service, secrets: Secrets, signer: str, photo: bytes, tmp_path: Path
) -> None:
    first = service.wait_for(service.animate(photo, seed=6004)["id"])
    new = new_key("Another")
    secrets.put(new.chain, new.private_key)
    second = service.wait_for(service.animate(photo, seed=6004)["id"])
    assert (first["output"]["signing"]["signer"], second["output"]["signing"]["signer"]) == (signer, "Another")
    assert second["reused_from"] is None
    assert judged(second, tmp_path).manifest["signature_info"]["common_name"] == "Another"


def test_while_only_one_of_a_keys_files_is_replaced_the_last_pair_signs(
    service: Service, secrets: Secrets, signer: str, photo: bytes, tmp_path: Path
) -> None:
    (secrets.folder / "cinemo_signing_certificate").write_text(new_key("Another").chain)
    job = service.wait_for(service.animate(photo, seed=6005)["id"])
    assert job["output"]["signing"]["signer"] == signer
    assert judged(job, tmp_path).state == "Valid"


@pytest.mark.parametrize("what", ["missing", "expired"])
def test_without_a_valid_key_jobs_fail_and_readiness_metrics_and_doctor_report_it(
    service: Service, secrets: Secrets, signer: str, photo: bytes, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert metrics(service)["cinemo_workers_unable_to_sign"] == 0
    assert 29 * 86_400 < metrics(service)["cinemo_signing_certificate_expires_seconds"] < 30 * 86_400
    if what == "missing":
        secrets.remove_key()
    else:
        old = expired_key()
        secrets.put(old.chain, old.private_key)
    wait_until(lambda: service.http.get("/readyz").status_code == 503)
    reported = service.http.get("/readyz").json()
    assert (reported["code"], reported["retryable"]) == ("MARKING.UNAVAILABLE", False)
    assert ("expired at" in reported["detail"]) == (what == "expired")
    assert metrics(service)["cinemo_workers_unable_to_sign"] == 1
    for name, value in service.stack.environment.items():
        if name.startswith("CINEMO_"):
            monkeypatch.setenv(name, value)
    seen = found(Settings(), "signing.key", "signing.workers")
    assert [each.status for each in seen.values()] == ["ok", "failure", "failure"]
    assert all("docs/marking.md#keys" in each.remedy for name, each in seen.items() if name.startswith("signing."))

    job = service.wait_for(service.animate(photo, seed=6006)["id"])
    assert (job["status"], job["error"]["code"], job["error"]["retryable"]) == ("failed", "MARKING.UNAVAILABLE", True)
    assert (job["output"], job["metrics"]["gpu_ms"], job["attempt"]) == (None, None, 1)
    assert service.storage.list(f"jobs/{job['id']}/") == {}


def test_if_signing_is_optional_an_unsigned_video_is_delivered_with_its_plain_mark(
    s3_endpoint: str, photo: bytes, tmp_path: Path
) -> None:
    secrets = Secrets(tmp_path / "secrets")
    secrets.folder.mkdir()
    variables = {"CINEMO_MARKING": "signed", "CINEMO_SECRETS_FOLDER": str(secrets.folder)}
    with running_over_s3(s3_endpoint, tmp_path / "stack", variables) as service:
        assert service.http.get("/readyz").status_code == 200
        first = service.wait_for(service.animate(photo, seed=6007)["id"])
        assert first["output"]["signing"]["signed"] is False
        assert "no signing certificate" in first["output"]["signing"]["error"]
        assert manifest_of(first)["marking"]["signing"] == first["output"]["signing"]
        assert first["output"]["digital_source_type"] is not None
        assert judged(first, tmp_path).state is None
        assert '"event": "files are not signed"' in service.stack.log_path("worker").read_text()
        key = new_key()
        secrets.put(key.chain, key.private_key)
        again = service.wait_for(service.animate(photo, seed=6007)["id"])
        assert (again["output"]["signing"]["signed"], again["reused_from"]) == (True, None)
        assert judged(again, tmp_path).state == "Valid"
