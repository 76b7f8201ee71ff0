"""Renders a dataset from stills: clips with captions, as WebDataset shards.

Clips are short and move at one speed each, so they are meant to be read at a frame interval of 1.
"""

import io
import multiprocessing
import tarfile
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch

from cinemo_core.encoding import write_video
from cinemo_core.media import Frames
from cinemo_core.training.motions import draw_scene, render, window
from cinemo_core.training.sources import Picture, dead_leaves, load_photos, recolour


@dataclass(frozen=True)
class RenderConfig:
    """What to render; sizes in pixels."""

    clips: int
    frames: int = 16
    width: int = 144
    height: int = 96
    photo_share: float = 0.6
    textures: int = 150
    clips_per_shard: int = 500
    seed: int = 0


@dataclass(frozen=True)
class Pictures:
    """The stills to animate."""

    photos: list[Picture]
    textures: list[Picture]

    def draw(self, photo_share: float, rng: np.random.Generator) -> Picture:
        """A recoloured photo with probability `photo_share`, else a recoloured texture."""
        shelf = self.photos if rng.random() < photo_share else self.textures
        return recolour(shelf[rng.integers(len(shelf))], rng)


def render_dataset(config: RenderConfig, folder: Path, processes: int = 2) -> None:
    """Write shards `clips-00000.tar`, …; the same configuration gives the same bytes, however many processes."""
    folder.mkdir(parents=True, exist_ok=True)
    firsts = range(0, config.clips, config.clips_per_shard)
    jobs = [(config, first, folder / f"clips-{number:05d}.tar") for number, first in zip(count(), firsts)]
    if processes == 1:
        for job in jobs:
            render_shard(*job)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.starmap(render_shard, jobs, chunksize=1)


def render_shard(config: RenderConfig, first: int, path: Path) -> None:
    """Write one shard atomically."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(config.seed)
    pictures = Pictures(load_photos(), [dead_leaves(rng) for _ in range(config.textures)])
    draft = path.with_suffix(".part")
    with tarfile.open(draft, "w") as shard:
        for number in range(first, min(first + config.clips_per_shard, config.clips)):
            frames, caption = render_clip(pictures, config, np.random.default_rng((config.seed, number)))
            add(shard, f"{number:06d}.mp4", encode(frames))
            add(shard, f"{number:06d}.txt", caption.encode())
    draft.replace(path)


def render_clip(pictures: Pictures, config: RenderConfig, rng: np.random.Generator) -> tuple[Frames, str]:
    """One clip `(f, h, w, 3)` and its caption."""
    still = window(pictures.draw(config.photo_share, rng), config.height, config.width, rng)
    scene = draw_scene(rng)
    frames, _ = render(still, scene.motions, scene.speed, config.frames, config.height, config.width)
    return frames.numpy(), scene.caption


def encode(frames: Frames) -> bytes:
    with tempfile.TemporaryDirectory(prefix="cinemo-") as folder:
        path = Path(folder, "clip.mp4")
        write_video(path, frames)
        return path.read_bytes()


def add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a member without times and owners, so that equal clips make equal shards."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))
