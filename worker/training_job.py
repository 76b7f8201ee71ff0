"""The work of the process that trains: train, publish into its folder, and tell of both, a JSON object a line."""

import json
import signal
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from cinemo_core.training.errors import TrainingInterrupted
from cinemo_core.training.loop import train
from cinemo_core.training.observer import Observer, StepReport
from cinemo_core.training.preflight import Preflight
from cinemo_core.training.publish import publish
from cinemo_core.training.run import Run
from cinemo_core.training.tensorboard import TensorBoard
from cinemo_spec.training import TrainConfig
from worker.app import settings
from worker.dataset import StoredFiles
from worker.dependencies import media_limits
from worker.outcome import job_error
from worker.training_folder import BASE, CONFIG, EVENTS, MODEL, RELEASED, RUN


class Teller(Observer):
    """Writes down what happens."""

    def __init__(self, folder: Path) -> None:
        self._events = (folder / EVENTS).open("a")
        self._tensorboard = TensorBoard(folder / RUN / "tensorboard")
        self._stop = False
        signal.signal(signal.SIGTERM, self._ask_to_stop)

    def tell(self, kind: str, **data: Any) -> None:
        """One line."""
        self._events.write(json.dumps({"type": kind, **data}) + "\n")
        self._events.flush()

    def on_start(self, preflight: Preflight, step: int) -> None:
        """What the data is like."""
        self._tensorboard.on_start(preflight, step)
        self.tell("start", step=step, **asdict(preflight))

    def on_step(self, step: int) -> bool:
        """Stop once the worker has asked for it."""
        return not self._stop

    def on_report(self, report: StepReport) -> None:
        """How it goes."""
        self._tensorboard.on_report(report)
        self.tell("report", **asdict(report))

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """Where a state is."""
        self.tell("checkpoint", step=step, folder=str(folder))

    def on_samples(self, step: int, folder: Path) -> None:
        """Where clips are."""
        self._tensorboard.on_samples(step, folder)
        self.tell("samples", step=step, folder=str(folder))

    def on_no_samples(self, step: int, reason: str) -> None:
        """Why there are none."""
        self.tell("no_samples", step=step, reason=reason)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop = True


def train_in(folder: Path) -> int:
    """Train as the folder's configuration says; returns the exit code of the process."""
    config = within_limits(TrainConfig.model_validate_json((folder / CONFIG).read_text()))
    base = folder / BASE if (folder / BASE).is_dir() else config.base_model
    teller = Teller(folder)
    try:
        files = StoredFiles(config.data.source)
        # Which of several GPUs, accelerate decides.
        device = settings.device.partition(":")[0]
        run = train(config, folder / RUN, teller, files, base, device, media_limits())
        if run.accelerator.is_main_process:
            finish(run, folder, teller)
    except TrainingInterrupted:
        return RELEASED
    except Exception as error:
        teller.tell("failed", **job_error(error).model_dump())
        raise
    return 0


def within_limits(config: TrainConfig) -> TrainConfig:
    """The configuration of a job that may have been taken in when more was allowed; what it computes stays the same."""
    workers = min(config.data.workers, settings.max_data_workers)
    return config.model_copy(update={"data": config.data.model_copy(update={"workers": workers})})


def finish(run: Run, folder: Path, teller: Teller) -> None:
    """Write the model, and tell where it is."""
    losses = [each["loss"] for each in run.progress.metrics]
    revision = publish(run, folder / MODEL)
    teller.tell("published", revision=revision, first_loss=losses[0], last_loss=losses[-1])
