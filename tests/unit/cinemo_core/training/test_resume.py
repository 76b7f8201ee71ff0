"""Interrupted runs resume as if they had never stopped."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cinemo_core.training.errors import CheckpointMismatch, DatasetError, TrainingInterrupted
from cinemo_core.training.state import AVERAGE, OPTIMIZER, STATE, WEIGHTS, newest_state
from tests.datasets import training, write_folder
from tests.systems import need_linux
from tests.unit.cinemo_core.training.runs import Cut, CutAfter, Listener, StopAfter, equal, losses, on_cpu, weights


def test_a_run_interrupted_twice_gives_the_same_bits(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=7)
    whole = on_cpu(config, tmp_path / "whole")
    for step in (3, 5):
        with pytest.raises(Cut):
            on_cpu(config, tmp_path / "cut", CutAfter(step))
    resumed = on_cpu(config, tmp_path / "cut")
    assert equal(weights(whole), weights(resumed))
    assert losses(whole) == losses(resumed)
    shadows = zip(whole.model.average.shadow_params, resumed.model.average.shadow_params, strict=True)
    assert all(torch.equal(one, other) for one, other in shadows)


def test_a_run_saves_its_state_before_it_stops(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=5, checkpoint_every_steps=100)
    with pytest.raises(TrainingInterrupted, match="after step 3 of 5"):
        on_cpu(config, tmp_path / "stopped", StopAfter(3))
    listener = Listener()
    resumed = on_cpu(config, tmp_path / "stopped", listener)
    assert [report.step for report in listener.reports] == [4, 5]
    assert equal(weights(on_cpu(config, tmp_path / "whole")), weights(resumed))


def test_a_state_of_another_run_is_rejected(videos: Path, tmp_path: Path) -> None:
    on_cpu(training(videos, steps=2), tmp_path / "run")
    with pytest.raises(CheckpointMismatch, match="another run: seed: its default then, 1 now"):
        on_cpu(training(videos, steps=2, seed=1), tmp_path / "run")


def test_a_state_of_another_version_is_rejected(tmp_path: Path) -> None:
    state = tmp_path / "step-00000002"
    state.mkdir()
    (state / STATE).write_text('{"config": "a", "step": 2}')
    with pytest.raises(CheckpointMismatch, match="another version"):
        newest_state(tmp_path)


def test_a_resumed_run_uses_the_videos_that_it_began_with(plain_losses: list[float], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "videos")
    config = training(folder)
    with pytest.raises(Cut):
        on_cpu(config, tmp_path / "run", CutAfter(3))
    shutil.copy(folder / "000000.mp4", folder / "000000-later.mp4")
    assert losses(on_cpu(config, tmp_path / "run")) == plain_losses
    shutil.copy(folder / "000001.mp4", folder / "000000.mp4")
    with pytest.raises(CheckpointMismatch, match=r"data\.source: 1 videos have changed .* 000000\.mp4"):
        on_cpu(config, tmp_path / "run")


def test_a_run_can_resume_with_smaller_micro_batches_and_other_workers(
    videos: Path, plain_losses: list[float], tmp_path: Path
) -> None:
    with pytest.raises(Cut):
        on_cpu(training(videos, data={"workers": 1}), tmp_path, CutAfter(2))
    smaller = training(videos, gradient_accumulation_steps=2, gradient_checkpointing=True, log_every_steps=2)
    assert losses(on_cpu(smaller, tmp_path))[-1] == pytest.approx(sum(plain_losses[2:]) / 2, rel=1e-3)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Flip one bit in the middle of the data."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(state: Path) -> None:
    for path in state.iterdir():
        path.unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty optimizer": lambda state: (state / OPTIMIZER).write_bytes(b""),
    "cut weights": lambda state: cut(state / WEIGHTS),
    "cut average": lambda state: cut(state / AVERAGE),
    "flipped weights": lambda state: flip(state / WEIGHTS),
    "flipped optimizer": lambda state: flip(state / OPTIMIZER),
    "no average": lambda state: (state / AVERAGE).unlink(),
    "empty state": lambda state: (state / STATE).write_bytes(b""),
    "cut state": lambda state: cut(state / STATE),
    "no state": lambda state: (state / STATE).unlink(),
    "another state": lambda state: (state / STATE).write_text("[]"),
    "nothing": empty,
}


@pytest.fixture(scope="module")
def halted(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The states after steps 2 and 3 of a run of four."""
    folder = tmp_path_factory.mktemp("halted")
    with pytest.raises(TrainingInterrupted):
        on_cpu(training(videos), folder, StopAfter(3))
    return folder / "states"


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_state_before_a_damaged_one_is_found_and_reported(damage: str, halted: Path, tmp_path: Path) -> None:
    shutil.copytree(halted, tmp_path, dirs_exist_ok=True)
    DAMAGES[damage](tmp_path / "step-00000003")
    saved = newest_state(tmp_path)
    assert saved
    assert (saved.folder.name, saved.progress.step) == ("step-00000002", 2)
    assert [each.partition(":")[0] for each in saved.damaged] == ["step-00000003"]
    DAMAGES[damage](tmp_path / "step-00000002")
    with pytest.raises(CheckpointMismatch, match=r"all states in .* are damaged \(step-00000003: .*step-00000002: "):
        newest_state(tmp_path)


def test_a_run_with_a_damaged_state_resumes_from_the_one_before_and_reports_it(
    videos: Path, halted: Path, plain_losses: list[float], tmp_path: Path
) -> None:
    shutil.copytree(halted, tmp_path / "states")
    DAMAGES["empty optimizer"](tmp_path / "states" / "step-00000003")
    listener = Listener()
    assert losses(on_cpu(training(videos), tmp_path, listener)) == plain_losses
    assert listener.started_after == 2
    (note,) = listener.notes
    assert "step-00000003: optimizer.pt has changed since it was saved" in note
    assert "resuming from an older one, step-00000002" in note


def test_a_state_is_synced_to_disk_before_it_counts(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_linux("names the file of a descriptor in /proc")
    done: list[str] = []
    fsync, rename = os.fsync, os.replace

    def flushed(file: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{file}")).name)
        fsync(file)

    def renamed(source: Path, target: Path) -> None:
        done.append("renamed")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    on_cpu(training(videos, steps=1), tmp_path)
    before, after = done[: done.index("renamed")], done[done.index("renamed") + 1 :]
    assert {STATE, WEIGHTS, AVERAGE, OPTIMIZER, "step-00000001.part"} == set(before)
    assert after == ["states"]


def test_extending_a_finished_run_equals_running_all_steps_at_once(
    videos: Path, plain_losses: list[float], tmp_path: Path
) -> None:
    on_cpu(training(videos, steps=2), tmp_path)
    assert losses(on_cpu(training(videos, steps=4), tmp_path)) == plain_losses
    with pytest.raises(CheckpointMismatch, match="steps: 3, but 4 are already done"):
        on_cpu(training(videos, steps=3), tmp_path)


def test_more_steps_are_rejected_if_the_learning_rate_depends_on_their_number(videos: Path, tmp_path: Path) -> None:
    cosine = {"schedule": {"kind": "cosine"}}
    on_cpu(training(videos, steps=2, **cosine), tmp_path)
    with pytest.raises(CheckpointMismatch, match="steps: 2 then, 4 now"):
        on_cpu(training(videos, steps=4, **cosine), tmp_path)


def test_a_run_resumes_with_a_moved_dataset(plain_losses: list[float], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "videos")
    with pytest.raises(Cut):
        on_cpu(training(folder), tmp_path / "run", CutAfter(3))
    folder.rename(tmp_path / "moved")
    assert losses(on_cpu(training(tmp_path / "moved"), tmp_path / "run")) == plain_losses


def test_a_run_resumes_with_a_corrected_caption_and_reports_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "videos")
    with pytest.raises(Cut):
        on_cpu(training(folder), tmp_path / "run", CutAfter(3))
    (folder / "000003.txt").write_text("what is really seen")
    listener = Listener()
    run = on_cpu(training(folder), tmp_path / "run", listener)
    assert run.progress.step == 4
    assert listener.notes == ("1 videos have a new caption, which the run uses from now on: 000003.mp4",)
    assert run.clips.listing.videos[3].caption == "what is really seen"


def test_a_run_resumes_without_a_deleted_video_if_enough_are_left(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "videos")
    with pytest.raises(Cut):
        on_cpu(training(folder), tmp_path / "run", CutAfter(3))
    (folder / "000003.mp4").unlink()
    with pytest.raises(DatasetError, match=r"data\.max_broken_share allows 0: 000003\.mp4: it no longer exists"):
        on_cpu(training(folder), tmp_path / "run")
    listener = Listener()
    run = on_cpu(training(folder, data={"max_broken_share": 0.1}), tmp_path / "run", listener)
    assert run.progress.step == 4
    assert listener.notes == ("1 videos no longer exist and are skipped: 000003.mp4",)
    assert run.progress.broken == {"000003.mp4": "it no longer exists"}
