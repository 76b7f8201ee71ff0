"""Samples that a run generates on the way."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cinemo_core.training import loop
from cinemo_core.training.networks import Model
from cinemo_core.training.samples import make_samples
from tests.datasets import training
from tests.unit.cinemo_core.training.runs import Listener, losses, on_cpu

SAMPLES = {"every_steps": 2, "clips": 1, "num_inference_steps": 1}


def test_samples_and_reports_come_as_often_as_configured_and_change_nothing(
    videos: Path, plain_losses: list[float], tmp_path: Path
) -> None:
    listener = Listener()
    run = on_cpu(training(videos, samples=SAMPLES), tmp_path, listener)
    made = [folder.relative_to(tmp_path).as_posix() for folder in listener.folders]
    states_first = ["states/step-00000002", "samples/step-00000002", "states/step-00000004", "samples/step-00000004"]
    assert made == states_first
    assert sorted(path.name for path in listener.folders[1].iterdir()) == ["0.jpg", "0.mp4"]
    assert [(report.step, report.steps) for report in listener.reports] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(report.clips_per_second > 0 and 0 <= report.waiting_share <= 1 for report in listener.reports)
    assert losses(run) == plain_losses


def test_samples_that_run_out_of_memory_are_reported_and_change_nothing(
    videos: Path, plain_losses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_memory(model: Model, *_: object) -> None:
        model.networks.eval()
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop, "make_samples", fill_memory)
    listener = Listener()
    run = on_cpu(training(videos, samples=SAMPLES), tmp_path, listener)
    assert losses(run) == plain_losses
    assert run.network.training
    assert list(listener.without_samples) == [2, 4]
    assert "lower width, height" in listener.without_samples[2]


def test_samples_are_computed_in_the_runs_precision(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[torch.dtype] = []

    def watched(model: Model, *rest: Any) -> None:
        with model.networks.unet.register_forward_hook(lambda *call: found.append(call[-1].dtype)):
            make_samples(model, *rest)

    monkeypatch.setattr(loop, "make_samples", watched)
    on_cpu(training(videos, steps=2, precision="bfloat16", samples=SAMPLES), tmp_path)
    assert found
    assert set(found) == {torch.bfloat16}
