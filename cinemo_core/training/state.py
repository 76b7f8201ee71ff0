"""A run's state on disk: trained weights, their average, the optimizer's moments, and the run's progress.

Random states are not saved, since they follow from the seed and the step. A state is flushed to disk before its folder
appears, atomically. If its files no longer match their digests, the state before it is used.
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
    """The progress of a run, and what identifies the run.

    Attributes:
        config: `TrainConfig.numbers()`.
        base_revision: revision of the base model's weights.
        videos: size in bytes and caption checksum of the videos that the run began with, by name.
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
    """An intact state; `damaged` lists newer states that are not, each with the reason."""

    folder: Path
    progress: Progress
    damaged: tuple[str, ...] = ()


class StateDamaged(Exception):
    """A file of a state is missing or has changed since it was saved."""


def state_folder(folder: Path, step: int) -> Path:
    """Folder of the state after a step."""
    return folder / f"step-{step:08d}"


def newest_state(folder: Path) -> Saved | None:
    """The newest intact state; None if none was ever saved.

    Raises:
        CheckpointMismatch: all states are damaged, or another version of this program saved them.
    """
    damaged: list[str] = []
    for path in sorted((path for path in folder.glob("step-*") if path.suffix != ".part"), reverse=True):
        try:
            return Saved(path, read_intact(path), tuple(damaged))
        except StateDamaged as error:
            damaged.append(f"{path.name}: {error}")
    if damaged:
        raise CheckpointMismatch(
            f"all states in {folder} are damaged ({'; '.join(damaged)}); remove them to start a new run"
        )
    return None


def read_intact(state: Path) -> Progress:
    """Read a state's progress after checking its files.

    Raises:
        StateDamaged: a file is missing or has changed.
        CheckpointMismatch: another version of this program saved it.
    """
    try:
        fields = json.loads((state / STATE).read_text())
    except (OSError, ValueError) as error:
        raise StateDamaged(f"{STATE} cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise StateDamaged(f"{STATE} is not a JSON object")
    digests = fields.pop(DIGESTS, None)
    try:
        progress = Progress(**fields)
    except TypeError as error:
        raise CheckpointMismatch(f"{state} was saved by another version of this program; start a new run") from error
    if not isinstance(digests, dict):
        raise CheckpointMismatch(f"{state} was saved by another version of this program; start a new run")
    for name in TENSORS:
        try:
            found = sha256_of(state / name).hex()
        except OSError as error:
            raise StateDamaged(f"{name} cannot be read: {error.strerror}") from error
        if found != digests.get(name):
            raise StateDamaged(f"{name} has changed since it was saved")
    return progress


def save_state(folder: Path, model: Model, optimizer: torch.optim.Optimizer, progress: Progress) -> Path:
    """Write a state atomically and durably; returns its folder."""
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
    """Flush a file, or the entries of a folder, to disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def load_state(saved: Saved, model: Model, optimizer: torch.optim.Optimizer) -> None:
    """Load a state into a model and its optimizer; raises `CheckpointError` if its tensors do not fit the model."""
    trained = model.trained()
    for file, targets in ((WEIGHTS, trained.values()), (AVERAGE, model.average.shadow_params)):
        stored = load_file(saved.folder / file)
        check_weights(trained, stored, str(saved.folder / file))
        for name, target in zip(trained, targets, strict=True):
            target.data.copy_(stored[name])
    model.average.optimization_step = saved.progress.step
    device = next(iter(trained.values())).device
    optimizer.load_state_dict(torch.load(saved.folder / OPTIMIZER, map_location=device, weights_only=True))
