"""The training process's work: train, write the model into its folder, and write events, one JSON object per line."""

import json
import signal
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from cinemo_core.training.comparison import compare
from cinemo_core.training.errors import TrainingInterrupted
from cinemo_core.training.loop import train
from cinemo_core.training.observer import Observer, StepReport
from cinemo_core.training.preflight import Preflight
from cinemo_core.training.publish import publish
from cinemo_core.training.run import Run
from cinemo_core.training.tensorboard import TensorBoard
from cinemo_spec.distillation import Comparison
from cinemo_spec.training import TrainConfig
from worker.app import settings
from worker.dataset import StoredFiles
from worker.dependencies import media_limits
from worker.outcome import job_error
from worker.training_folder import BASE, CONFIG, EVENTS, MODEL, RELEASED, RUN


class EventWriter(Observer):
    """Writes the run's events and stops it on SIGTERM."""

    def __init__(self, folder: Path) -> None:
        self._events = (folder / EVENTS).open("a")
        self._tensorboard = TensorBoard(folder / RUN / "tensorboard")
        self._stop = False
        signal.signal(signal.SIGTERM, self._request_stop)

    def write(self, kind: str, **data: Any) -> None:
        """Write an event."""
        self._events.write(json.dumps({"type": kind, **data}) + "\n")
        self._events.flush()

    def on_start(self, preflight: Preflight, step: int) -> None:
        """Write the preflight report."""
        self._tensorboard.on_start(preflight, step)
        self.write("start", step=step, **asdict(preflight))

    def on_step(self, step: int) -> bool:
        """Stop after SIGTERM."""
        return not self._stop

    def on_report(self, report: StepReport) -> None:
        """Write a progress report."""
        self._tensorboard.on_report(report)
        self.write("report", **asdict(report))

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """Write a state's folder."""
        self.write("checkpoint", step=step, folder=str(folder))

    def on_samples(self, step: int, folder: Path) -> None:
        """Write the folder of sample clips."""
        self._tensorboard.on_samples(step, folder)
        self.write("samples", step=step, folder=str(folder))

    def on_no_samples(self, step: int, reason: str) -> None:
        """Write why there are no sample clips."""
        self.write("no_samples", step=step, reason=reason)

    def on_comparison(self, comparison: Comparison) -> None:
        """Write how a distilled model compares with its teacher."""
        self.write("comparison", comparison=comparison.model_dump(mode="json"))

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop = True


def train_in(folder: Path) -> int:
    """Train with the folder's configuration; returns the exit code of the process."""
    config = within_limits(TrainConfig.model_validate_json((folder / CONFIG).read_text()))
    base = folder / BASE if (folder / BASE).is_dir() else config.base_model
    events = EventWriter(folder)
    try:
        files = StoredFiles(config.data.source)
        # accelerate selects one of several GPUs.
        device = settings.device.partition(":")[0]
        run = train(config, folder / RUN, events, files, base, device, media_limits())
        if run.accelerator.is_main_process:
            finish(run, folder, events)
    except TrainingInterrupted:
        return RELEASED
    except Exception as error:
        events.write("failed", **job_error(error).model_dump())
        raise
    return 0


def within_limits(config: TrainConfig) -> TrainConfig:
    """Apply the current limits, which may be lower than when the job was accepted; the results stay the same."""
    workers = min(config.data.workers, settings.max_data_workers)
    return config.model_copy(update={"data": config.data.model_copy(update={"workers": workers})})


def finish(run: Run, folder: Path, events: EventWriter) -> None:
    """Write the model and its event; raises `StudentFallsShort` instead if it is a distilled one that falls short."""
    losses = [each["loss"] for each in run.progress.metrics]
    comparison = compare(run) if run.config.method == "distill" else None
    revision = publish(run, folder / MODEL, comparison)
    events.write("published", revision=revision, first_loss=losses[0], last_loss=losses[-1])
