"""What a training run tells while it goes on, and who may listen."""

from dataclasses import dataclass
from pathlib import Path

from cinemo_core.training.preflight import Preflight


@dataclass(frozen=True)
class StepReport:
    """One optimizer step.

    Attributes:
        step: how many are done.
        steps: how many there will be.
        loss: mean over all processes since the last logged step.
        learning_rate: of this step.
        grad_norm: before clipping.
        clips_per_second: over all processes, since the last logged step.
        waiting_share: of the time since then that was spent waiting for data, 0..1.
        broken_videos: how many could not be used so far.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    grad_norm: float
    clips_per_second: float
    waiting_share: float
    broken_videos: int


class Observer:
    """Listens to nothing; subclasses override what they care for. Called in the main process alone."""

    def on_start(self, preflight: Preflight, step: int) -> None:
        """The data has been looked at; the run begins, or goes on, after `step` steps."""

    def on_step(self, step: int) -> bool:
        """A step is done; False asks the run to save its state and stop."""
        return True

    def on_report(self, report: StepReport) -> None:
        """Every `log_every_steps` steps."""

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """A state was saved; the folder is the observer's to delete."""

    def on_samples(self, step: int, folder: Path) -> None:
        """Clips were made with the averaged weights: `0.mp4`, `0.jpg`, `1.mp4`, …"""

    def on_no_samples(self, step: int, reason: str) -> None:
        """Clips were to be made, and did not fit into memory."""
