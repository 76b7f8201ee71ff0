"""Whole training runs at toy size, and what tests observe of them."""

from pathlib import Path

import torch

from cinemo_core.training.loop import train
from cinemo_core.training.observer import Observer, StepReport
from cinemo_core.training.preflight import Preflight
from cinemo_core.training.run import Run
from cinemo_spec.training import TrainConfig


class Cut(Exception):
    """Ends a run at once, like a crash."""


class CutAfter(Observer):
    """Crashes a run after some step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, step: int) -> bool:
        if step == self.step:
            raise Cut
        return True


class StopAfter(CutAfter):
    """Asks a run to stop after some step."""

    def on_step(self, step: int) -> bool:
        return step != self.step


class Listener(Observer):
    """Records events."""

    def __init__(self) -> None:
        self.reports: list[StepReport] = []
        self.folders: list[Path] = []
        self.without_samples: dict[int, str] = {}
        self.notes: tuple[str, ...] = ()
        self.started_after = 0

    def on_start(self, preflight: Preflight, step: int) -> None:
        self.notes, self.started_after = preflight.notes, step

    def on_report(self, report: StepReport) -> None:
        self.reports.append(report)

    def on_checkpoint(self, step: int, folder: Path) -> None:
        self.folders.append(folder)

    def on_samples(self, step: int, folder: Path) -> None:
        self.folders.append(folder)

    def on_no_samples(self, step: int, reason: str) -> None:
        self.without_samples[step] = reason


def on_cpu(config: TrainConfig, folder: Path, observer: Observer | None = None) -> Run:
    return train(config, folder, observer, device="cpu")


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in run.model.trained().items()}


def losses(run: Run) -> list[float]:
    return [each["loss"] for each in run.progress.metrics]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())
