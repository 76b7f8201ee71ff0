"""What the doctor reports about a machine: its disk, its device, and its model."""

import shutil
from pathlib import Path

import pytest

from cinemo_core.checkpoint import BUILT_IN
from cinemo_spec.card import SIDECAR, Base
from deploy.doctor import disk
from deploy.doctor.result import Status
from service.contract.settings import Settings
from tests.adapters import random_adapter
from tests.integration.doctor.examination import found


def test_a_disk_that_is_nearly_full_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(storage_url="s3://none", work_folder=str(tmp_path))
    free = shutil.disk_usage(tmp_path).free
    for name, status in (("ENOUGH_BYTES", Status.WARNING), ("MIN_BYTES", Status.FAILURE)):
        monkeypatch.setattr(disk, name, 2 * free)
        assert found(settings, "work_folder")["work_folder"].status is status


def test_a_missing_device_is_a_failure_and_a_cpu_is_reported_as_one() -> None:
    names = ("device", "device.computation", "device.memory")
    findings = found(Settings(storage_url="s3://none", device="cpu"), *names)
    assert {finding.status for finding in findings.values()} == {Status.OK}
    assert findings["device"].message.startswith("CPU only; PyTorch ")
    missing = found(Settings(storage_url="s3://none", device="cuda:99"), *names)["device"]
    assert missing.status is Status.FAILURE


def test_a_model_whose_files_are_truncated_or_missing_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUILT_IN["tiny"], folder)
    settings = Settings(storage_url="s3://none", model=str(folder))
    (folder / SIDECAR).unlink()
    finding = found(settings, "model")["model"]
    assert finding.status is Status.OK
    assert f"there is no {SIDECAR}" in finding.message
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    finding = found(settings, "model", "model.run", loads_model=True)["model"]
    assert finding.status is Status.FAILURE
    assert "truncated" in finding.message
    (folder / SIDECAR).write_text("{}")
    assert "not a model card" in found(settings, "model")["model"].message


def test_a_hub_model_is_searched_only_in_the_local_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    finding = found(Settings(storage_url="s3://none", model="no-such-owner/no-such-model"), "model")["model"]
    assert finding.status is Status.WARNING
    assert "HF_HOME" in finding.remedy


def test_the_base_of_an_adapter_is_searched_only_in_the_local_cache_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    adapter = random_adapter(tmp_path / "adapter", card={"base": Base("no-such-owner/no-such-model", "0" * 12)})
    finding = found(Settings(storage_url="s3://none", model=str(adapter)), "model")["model"]
    assert (finding.status, finding.message.split()[0]) == (Status.WARNING, "no-such-owner/no-such-model")


def test_the_model_runs_only_on_request() -> None:
    settings = Settings(storage_url="s3://none")
    assert found(settings, "model.run")["model.run"].status is Status.SKIPPED
    finding = found(settings, "model.run", loads_model=True)["model.run"]
    assert finding.status is Status.OK
    assert "revision" in finding.message
