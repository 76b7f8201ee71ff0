"""A run's curves and samples for TensorBoard."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter

from cinemo_core.training.observer import Observer, StepReport
from cinemo_core.training.preflight import Preflight

STEP_FIELDS = ("step", "steps")


class TensorBoard(Observer):
    """Writes event files to a folder; a resumed run replaces the values of the steps that it repeats."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def on_start(self, preflight: Preflight, step: int) -> None:
        """Open a new event file."""
        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1 if step else None)

    def on_report(self, report: StepReport) -> None:
        """Add a point to each curve."""
        if self._writer:
            for name, value in asdict(report).items():
                if name not in STEP_FIELDS:
                    self._writer.add_scalar(f"training/{name}", value, report.step)
            self._writer.flush()

    def on_samples(self, step: int, folder: Path) -> None:
        """Add the middle frame of each sample."""
        if self._writer:
            for picture in sorted(folder.glob("*.jpg")):
                self._writer.add_image(
                    f"sample/{picture.stem}", np.asarray(Image.open(picture)), step, dataformats="HWC"
                )
            self._writer.flush()
