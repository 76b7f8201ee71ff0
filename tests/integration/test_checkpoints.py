"""Training states in the storage: any worker resumes from the newest complete one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.contract.record import Job
from service.storage import LocalStore
from tests.datasets import training
from worker.checkpoints import Checkpoints


@pytest.fixture
def storage(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", "http://127.0.0.1:1", "key")


def attempt(storage: LocalStore, number: int) -> Checkpoints:
    job = Job(id="job_1", kind="train", created_at=datetime.now(UTC), attempt=number, request=training("datasets/x/"))
    return Checkpoints(job, storage)


def state(folder: Path, step: int, content: str) -> Path:
    path = folder / f"step-{step:08d}"
    path.mkdir(parents=True)
    (path / "state.json").write_text(content)
    (path / "weights.safetensors").write_bytes(b"weights")
    return path


def restored(checkpoints: Checkpoints, folder: Path) -> dict[str, str]:
    checkpoints.restore(folder)
    return {path.name: (path / "state.json").read_text() for path in folder.glob("step-*")}


def test_the_newest_state_is_restored_and_older_ones_are_deleted(storage: LocalStore, tmp_path: Path) -> None:
    first = attempt(storage, 1)
    for step in (2, 4, 10):
        first.save(state(tmp_path / "run", step, f"after {step}"))
    assert restored(attempt(storage, 2), tmp_path / "new") == {"step-00000010": "after 10"}
    steps = {key.split("/")[2] for key in storage.list("checkpoints/job_1/")}
    assert steps == {"step-00000004", "step-00000010"}


def test_a_job_without_a_state_starts_from_the_beginning(storage: LocalStore, tmp_path: Path) -> None:
    assert not attempt(storage, 1).restore(tmp_path)
    assert list(tmp_path.glob("step-*")) == []


def test_a_rerun_training_resumes_from_the_earlier_jobs_state_without_changing_it(
    storage: LocalStore, tmp_path: Path
) -> None:
    attempt(storage, 1).save(state(tmp_path / "run", 8, "the earlier one's"))
    before = storage.list("checkpoints/job_1/")
    again = Checkpoints(attempt(storage, 1).job.model_copy(update={"id": "job_2", "continues": "job_1"}), storage)
    assert restored(again, tmp_path / "new") == {"step-00000008": "the earlier one's"}
    for step in (10, 12, 14):
        again.save(state(tmp_path / "more", step, f"after {step}"))
    assert storage.list("checkpoints/job_1/") == before
    assert restored(again, tmp_path / "newer") == {"step-00000014": "after 14"}


def test_an_incomplete_state_is_skipped(storage: LocalStore, tmp_path: Path) -> None:
    first = attempt(storage, 1)
    first.save(state(tmp_path / "run", 2, "whole"))
    storage.put_bytes("checkpoints/job_1/step-00000004/1/state.json", b"cut short", "application/json")
    first.save(state(tmp_path / "run", 6, "damaged"))
    storage.put_bytes("checkpoints/job_1/step-00000006/1/weights.safetensors", b"flipped", "application/json")
    again = attempt(storage, 2)
    assert restored(again, tmp_path / "new") == {"step-00000002": "whole"}
    (reported,) = again.damaged
    assert "step-00000006 is damaged and was skipped: weights.safetensors differs" in reported


@pytest.mark.parametrize("complete", [b"", b"{", b"[1]", b"null", b"{}"])
def test_a_state_with_a_damaged_file_list_is_skipped_and_reported(
    storage: LocalStore, tmp_path: Path, complete: bytes
) -> None:
    first = attempt(storage, 1)
    for step in (2, 4):
        first.save(state(tmp_path / "run", step, f"after {step}"))
    storage.put_bytes("checkpoints/job_1/step-00000004/1/complete.json", complete, "application/json")
    again = attempt(storage, 2)
    assert restored(again, tmp_path / "new") == {"step-00000002": "after 2"}
    assert len(again.damaged) == 1


def test_a_state_with_a_missing_file_is_skipped_and_reported(storage: LocalStore, tmp_path: Path) -> None:
    first = attempt(storage, 1)
    for step in (2, 4):
        first.save(state(tmp_path / "run", step, f"after {step}"))
    storage.delete("checkpoints/job_1/step-00000004/1/weights.safetensors")
    again = attempt(storage, 2)
    assert restored(again, tmp_path / "new") == {"step-00000002": "after 2"}
    assert "is not in the storage" in again.damaged[0]


def test_an_attempt_that_lost_its_lease_leaves_its_successors_states_alone(storage: LocalStore, tmp_path: Path) -> None:
    stale, current = attempt(storage, 1), attempt(storage, 2)
    stale.save(state(tmp_path / "stale", 2, "the old one's"))
    current.restore(tmp_path / "current")
    current.save(state(tmp_path / "current", 4, "the new one's"))
    for step in (4, 6, 8):
        stale.save(state(tmp_path / "stale", step, "too late"))
    keys = storage.list("checkpoints/job_1/")
    assert "checkpoints/job_1/step-00000004/2/complete.json" in keys
