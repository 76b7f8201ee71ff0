"""The events of a training run, and the interface for observing them."""

from dataclasses import dataclass
from pathlib import Path

from cinemo_core.training.preflight import Preflight
from cinemo_spec.distillation import Comparison


@dataclass(frozen=True)
class StepReport:
    """One optimizer step.

    Attributes:
        step: number of completed steps.
        steps: total number of steps.
        loss: mean over all processes since the last logged step.
        learning_rate: of this step.
        grad_norm: before clipping.
        clips_per_second: over all processes, since the last logged step.
        waiting_share: share of the time since then spent waiting for data, 0..1.
        broken_videos: number of unusable videos so far.
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
    """Does nothing; subclasses override the events they need. Called only in the main process."""

    def on_start(self, preflight: Preflight, step: int) -> None:
        """The data has been checked; the run starts, or resumes, after `step` steps."""

    def on_step(self, step: int) -> bool:
        """A step is done; return False to save the state and stop."""
        return True

    def on_report(self, report: StepReport) -> None:
        """Every `log_every_steps` steps."""

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """A state was saved; the observer may delete the folder."""

    def on_samples(self, step: int, folder: Path) -> None:
        """Sample clips were made with the averaged weights: `0.mp4`, `0.jpg`, `1.mp4`, …"""

    def on_no_samples(self, step: int, reason: str) -> None:
        """Sample clips could not be made; `reason` says why."""

    def on_comparison(self, comparison: Comparison) -> None:
        """A distilled student was compared with its teacher, before it is published or refused."""
