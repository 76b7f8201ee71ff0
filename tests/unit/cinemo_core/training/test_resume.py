"""Runs that were cut go on as if they never had been."""

import shutil
from pathlib import Path

import pytest
import torch

from cinemo_core.training.errors import CheckpointMismatch, TrainingInterrupted
from cinemo_core.training.state import STATE, read_progress
from tests.datasets import training, write_folder
from tests.unit.cinemo_core.training.runs import Cut, CutAfter, Listener, StopAfter, equal, losses, on_cpu, weights


def test_a_run_that_was_cut_twice_ends_with_the_same_bits(videos: Path, tmp_path: Path) -> None:
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


def test_a_run_that_is_asked_to_stop_saves_first(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=5, checkpoint_every_steps=100)
    with pytest.raises(TrainingInterrupted, match="after step 3 of 5"):
        on_cpu(config, tmp_path / "stopped", StopAfter(3))
    listener = Listener()
    resumed = on_cpu(config, tmp_path / "stopped", listener)
    assert [report.step for report in listener.reports] == [4, 5]
    assert equal(weights(on_cpu(config, tmp_path / "whole")), weights(resumed))


def test_a_state_of_another_run_is_refused(videos: Path, tmp_path: Path) -> None:
    on_cpu(training(videos, steps=2), tmp_path / "run")
    with pytest.raises(CheckpointMismatch, match="another config"):
        on_cpu(training(videos, steps=2, seed=1), tmp_path / "run")


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / STATE).write_text('{"config": "a", "step": 2}')
    with pytest.raises(CheckpointMismatch, match="another version"):
        read_progress(tmp_path)


def test_a_run_goes_on_with_the_videos_that_it_began_with(plain_losses: list[float], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "videos")
    config = training(folder)
    with pytest.raises(Cut):
        on_cpu(config, tmp_path / "run", CutAfter(3))
    shutil.copy(folder / "000000.mp4", folder / "000000-later.mp4")
    assert losses(on_cpu(config, tmp_path / "run")) == plain_losses
    (folder / "000000.mp4").unlink()
    with pytest.raises(CheckpointMismatch, match="another data"):
        on_cpu(config, tmp_path / "run")


def test_a_run_that_was_cut_goes_on_in_smaller_parts_with_other_workers(
    videos: Path, plain_losses: list[float], tmp_path: Path
) -> None:
    with pytest.raises(Cut):
        on_cpu(training(videos, data={"workers": 1}), tmp_path, CutAfter(2))
    smaller = training(videos, gradient_accumulation_steps=2, gradient_checkpointing=True, log_every_steps=2)
    assert losses(on_cpu(smaller, tmp_path))[-1] == pytest.approx(sum(plain_losses[2:]) / 2, rel=1e-3)
