"""A run's state on disk: trained weights, their average, the optimizer's moments, and the run's progress.

Of the randomness nothing is kept, since it follows from the seed and the step. A state's folder appears in one step
and is on the disk before it does; one that was damaged later is told by the digests of its files, and the one before it
counts.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cinemo_core.checksums import sha256_of
from cinemo_core.training.errors import CheckpointMismatch
from cinemo_core.training.networks import Model
from cinemo_core.weights import check_weights

STATE, WEIGHTS, AVERAGE, OPTIMIZER = "state.json", "weights.safetensors", "average.safetensors", "optimizer.pt"
TENSORS = (WEIGHTS, AVERAGE, OPTIMIZER)
DIGESTS = "files"
"""In `STATE`, beside the fields of `Progress`: SHA-256 of each of `TENSORS`."""


@dataclass
class Progress:
    """Where a run stands, and what it belongs to.

    Attributes:
        config: `TrainConfig.numbers()`.
        base_revision: of the base model's weights.
        videos: those that the run began with, by name: the bytes, and a checksum of the caption.
    """

    config: dict[str, Any]
    base_revision: str
    videos: dict[str, list[int]]
    step: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    metrics: list[dict[str, float]] = field(default_factory=list)
    loss_scale: dict[str, Any] | None = None


@dataclass(frozen=True)
class Saved:
    """A state that is whole; `damaged` names newer ones that are not, and what is wrong with each."""

    folder: Path
    progress: Progress
    damaged: tuple[str, ...] = ()


class StateDamaged(Exception):
    """A state is not what was saved."""


def state_folder(folder: Path, step: int) -> Path:
    """Folder of the state after a step."""
    return folder / f"step-{step:08d}"


def newest_state(folder: Path) -> Saved | None:
    """The newest intact state; None if none was ever saved.

    Raises:
        CheckpointMismatch: none of those that there are is whole, or another version of this program saved it.
    """
    damaged: list[str] = []
    for path in sorted((path for path in folder.glob("step-*") if path.suffix != ".part"), reverse=True):
        try:
            return Saved(path, read_whole(path), tuple(damaged))
        except StateDamaged as error:
            damaged.append(f"{path.name}: {error}")
    if damaged:
        raise CheckpointMismatch(
            f"no state in {folder} can be read ({'; '.join(damaged)}); remove them to start the run anew"
        )
    return None


def read_whole(state: Path) -> Progress:
    """Where the run that saved a state stood.

    Raises:
        StateDamaged: a file of it is not there, or not what was saved.
        CheckpointMismatch: another version of this program saved it.
    """
    try:
        fields = json.loads((state / STATE).read_text())
    except (OSError, ValueError) as error:
        raise StateDamaged(f"{STATE} cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise StateDamaged(f"{STATE} holds something else")
    digests = fields.pop(DIGESTS, None)
    try:
        progress = Progress(**fields)
    except TypeError as error:
        raise CheckpointMismatch(f"{state} was saved by another version of this program; start the run anew") from error
    if not isinstance(digests, dict):
        raise CheckpointMismatch(f"{state} was saved by another version of this program; start the run anew")
    for name in TENSORS:
        try:
            found = sha256_of(state / name).hex()
        except OSError as error:
            raise StateDamaged(f"{name} cannot be read: {error.strerror}") from error
        if found != digests.get(name):
            raise StateDamaged(f"{name} is not what was saved")
    return progress


def save_state(folder: Path, model: Model, optimizer: torch.optim.Optimizer, progress: Progress) -> Path:
    """Write the state of a step, and see it on the disk before it counts; returns its folder."""
    target = state_folder(folder, progress.step)
    draft = target.with_suffix(".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    trained = model.trained()
    save_file({name: value.detach().contiguous() for name, value in trained.items()}, draft / WEIGHTS)
    shadows = dict(zip(trained, model.average.shadow_params, strict=True))
    save_file({name: value.contiguous() for name, value in shadows.items()}, draft / AVERAGE)
    torch.save(optimizer.state_dict(), draft / OPTIMIZER)
    digests = {name: sha256_of(draft / name).hex() for name in TENSORS}
    (draft / STATE).write_text(json.dumps({**asdict(progress), DIGESTS: digests}))
    for path in (*draft.iterdir(), draft):
        flush(path)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(draft, target)
    flush(folder)
    return target


def flush(path: Path) -> None:
    """Return once the disk has a file, or the names in a folder."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def load_state(saved: Saved, model: Model, optimizer: torch.optim.Optimizer) -> None:
    """Read a state into a model and its optimizer; raises `CheckpointError` where its tensors are not the model's."""
    trained = model.trained()
    for file, targets in ((WEIGHTS, trained.values()), (AVERAGE, model.average.shadow_params)):
        stored = load_file(saved.folder / file)
        check_weights(trained, stored, str(saved.folder / file))
        for name, target in zip(trained, targets, strict=True):
            target.data.copy_(stored[name])
    model.average.optimization_step = saved.progress.step
    device = next(iter(trained.values())).device
    optimizer.load_state_dict(torch.load(saved.folder / OPTIMIZER, map_location=device, weights_only=True))
