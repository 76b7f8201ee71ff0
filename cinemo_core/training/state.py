"""A run's state on disk: what is trained, its average, the optimizer's moments, and where the run stands.

Of the randomness nothing is kept, since it follows from the seed and the step. A state's folder appears in one step, so
that one that is there is whole.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cinemo_core.training.errors import CheckpointMismatch
from cinemo_core.training.networks import Model
from cinemo_core.weights import check_weights

STATE, WEIGHTS, AVERAGE, OPTIMIZER = "state.json", "weights.safetensors", "average.safetensors", "optimizer.pt"


@dataclass
class Progress:
    """Where a run stands, and what it belongs to: digests of configuration and data, the base model's revision.

    `videos` names those that the run began with.
    """

    config: str
    data: str
    base_revision: str
    videos: list[str]
    step: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    metrics: list[dict[str, float]] = field(default_factory=list)
    loss_scale: dict[str, Any] | None = None


def state_folder(folder: Path, step: int) -> Path:
    """Where the state after a step is kept."""
    return folder / f"step-{step:08d}"


def latest_state(folder: Path) -> Path | None:
    """The newest whole state, or None."""
    return max((path for path in folder.glob("step-*") if path.suffix != ".part"), default=None)


def read_progress(state: Path) -> Progress:
    """Where the run that saved a state stood; raises `CheckpointMismatch` where another version saved it."""
    try:
        return Progress(**json.loads((state / STATE).read_text()))
    except TypeError as error:
        raise CheckpointMismatch(f"{state} was saved by another version of this program; start the run anew") from error


def save_state(folder: Path, model: Model, optimizer: torch.optim.Optimizer, progress: Progress) -> Path:
    """Write the state of a step; returns its folder."""
    target = state_folder(folder, progress.step)
    draft = target.with_suffix(".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    trained = model.trained()
    save_file({name: value.detach().contiguous() for name, value in trained.items()}, draft / WEIGHTS)
    shadows = dict(zip(trained, model.average.shadow_params, strict=True))
    save_file({name: value.contiguous() for name, value in shadows.items()}, draft / AVERAGE)
    torch.save(optimizer.state_dict(), draft / OPTIMIZER)
    (draft / STATE).write_text(json.dumps(asdict(progress)))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(draft, target)
    return target


def load_state(folder: Path, model: Model, optimizer: torch.optim.Optimizer, expected: Progress) -> Progress:
    """Read a state into a model and its optimizer; returns where the run stands.

    Raises:
        CheckpointMismatch: it belongs to another configuration, dataset or base model.
        CheckpointError: its tensors are not the model's.
    """
    progress = read_progress(folder)
    for name in ("config", "data", "base_revision"):
        if getattr(progress, name) != getattr(expected, name):
            raise CheckpointMismatch(f"{folder} was saved with another {name.replace('_', ' ')}; start the run anew")
    trained = model.trained()
    for file, targets in ((WEIGHTS, trained.values()), (AVERAGE, model.average.shadow_params)):
        stored = load_file(folder / file)
        check_weights(trained, stored, str(folder / file))
        for name, target in zip(trained, targets, strict=True):
            target.data.copy_(stored[name])
    model.average.optimization_step = progress.step
    device = next(iter(trained.values())).device
    optimizer.load_state_dict(torch.load(folder / OPTIMIZER, map_location=device, weights_only=True))
    return progress
