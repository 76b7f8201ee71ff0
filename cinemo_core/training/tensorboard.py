"""A run's curves and samples for TensorBoard."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter

from cinemo_core.training.observer import Observer, StepReport
from cinemo_core.training.preflight import Preflight

PLACE = ("step", "steps")


class TensorBoard(Observer):
    """Writes event files to a folder; what a run that goes on repeats is hidden by its newer values."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def on_start(self, preflight: Preflight, step: int) -> None:
        """Open a file of this start's own."""
        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1 if step else None)

    def on_report(self, report: StepReport) -> None:
        """A point on every curve."""
        if self._writer:
            for name, value in asdict(report).items():
                if name not in PLACE:
                    self._writer.add_scalar(f"training/{name}", value, report.step)
            self._writer.flush()

    def on_samples(self, step: int, folder: Path) -> None:
        """The middle frame of each sample."""
        if self._writer:
            for picture in sorted(folder.glob("*.jpg")):
                self._writer.add_image(
                    f"sample/{picture.stem}", np.asarray(Image.open(picture)), step, dataformats="HWC"
                )
            self._writer.flush()
