"""Small datasets for the tests of training: photos, and rendered clips, so that every motion is known."""

import io
import shutil
import tarfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from PIL import Image

from cinemo_core.training.sources import photo_path
from cinemo_spec.card import ModelCard
from cinemo_spec.training import TrainConfig

SIZE = {"width": 48, "height": 32}
DATA = {**SIZE, "frames": 8, "min_interval": 1, "max_interval": 2, "strong_score": 0.4, "workers": 0}


@cache
def shard() -> bytes:
    """Twelve captioned clips of 16 frames, 48x32 pixels."""
    # Not at the top: it brings PyTorch, which whoever only hands tests out does without.
    from cinemo_core.training.render import RenderConfig, render_dataset

    folder = Path(mkdtemp(prefix="cinemo-"))
    render_dataset(RenderConfig(clips=12, textures=8, **SIZE), folder, processes=1)
    return (folder / "clips-00000.tar").read_bytes()


@cache
def clips() -> dict[str, tuple[bytes, str]]:
    """The shard's videos and captions, by name."""
    with tarfile.open(fileobj=io.BytesIO(shard())) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    return {
        name.removesuffix(".mp4"): (data, members[name.replace(".mp4", ".txt")].decode())
        for name, data in members.items()
        if name.endswith(".mp4")
    }


def write_folder(folder: Path) -> Path:
    """The clips as files, each with a caption file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (video, caption) in clips().items():
        (folder / f"{name}.mp4").write_bytes(video)
        (folder / f"{name}.txt").write_text(caption)
    return folder


def write_photos(folder: Path) -> Path:
    """Two small photos."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("chelsea.png", "rocket.jpg"):
        with Image.open(photo_path(name)) as photo:
            photo.convert("RGB").resize((120, 90)).save(folder / name)
    return folder


def training(source: Path | str, **changes: Any) -> TrainConfig:
    """A run of a few small steps of the built-in model on a dataset."""
    data = {**DATA, "source": str(source), **changes.pop("data", {})}
    defaults: dict[str, Any] = {
        "name": "toy",
        "base_model": "tiny",
        "steps": 4,
        "batch_size": 2,
        "precision": "float32",
        "optimizer": {"learning_rate": 1e-3},
        "ema_decay": 0.5,
        "log_every_steps": 1,
        "checkpoint_every_steps": 2,
        "samples": {"every_steps": 0},
    }
    return TrainConfig.model_validate({**defaults, **changes, "data": data})


def quicker_tiny(folder: Path) -> Path:
    """A copy of the built-in model with fewer sampling steps, as a teacher whose clips are made sooner."""
    from cinemo_core.checkpoint import BUILT_IN

    shutil.copytree(BUILT_IN["tiny"], folder, dirs_exist_ok=True)
    replace(ModelCard.read(folder), num_inference_steps=8).write(folder)
    return folder
