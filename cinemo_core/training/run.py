"""The state that the stages of a training run share."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn

from cinemo_core.training.loader import Clips
from cinemo_core.training.networks import Model
from cinemo_core.training.observer import Observer
from cinemo_core.training.state import Progress
from cinemo_spec.training import TrainConfig


@dataclass
class Since:
    """Totals since the last report; times in seconds."""

    started: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    steps: int = 0
    loss: Tensor | float = 0.0
    grad_norm: Tensor | float = 0.0


@dataclass
class Run:
    """A training run in flight.

    Attributes:
        network: the model's networks as prepared by accelerate.
        sound: a scalar that is not finite once a step has corrupted the weights.
    """

    config: TrainConfig
    folder: Path
    accelerator: Accelerator
    model: Model
    network: nn.Module
    optimizer: Any
    clips: Clips
    progress: Progress
    observer: Observer
    sound: Tensor
    since: Since = field(default_factory=Since)

    @property
    def states(self) -> Path:
        """Where states are saved."""
        return self.folder / "states"
