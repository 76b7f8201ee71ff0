"""A pool of rendered clips: made by several processes, scored, encoded once and kept in memory for training."""

import multiprocessing
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from cinemo_core.codec import PatchCodec
from cinemo_core.motion import motion_bucket, motion_score
from cinemo_core.training.clips import MOTIONS, describe, render, window
from cinemo_core.training.config import ClipConfig
from cinemo_core.training.sources import Picture, dead_leaves, load_photos, recolour


@dataclass(frozen=True)
class ClipPool:
    """Latents `(n, c, f, h, w)` in float16, their prompts and motion buckets `(n,)`."""

    latents: Tensor
    prompts: list[str]
    buckets: Tensor

    def batch(self, indices: Tensor, frames: int, height: int, width: int) -> tuple[Tensor, list[str], Tensor]:
        """The first `frames` frames and the middle `height x width` latent pixels of some clips."""
        top, left = (self.latents.shape[-2] - height) // 2, (self.latents.shape[-1] - width) // 2
        part = self.latents[indices, :, :frames, top : top + height, left : left + width].float()
        return part, [self.prompts[i] for i in indices.tolist()], self.buckets[indices]


@dataclass(frozen=True)
class Pictures:
    """The stills that clips are made of."""

    photos: list[Picture]
    textures: list[Picture]

    def draw(self, photo_share: float, rng: np.random.Generator) -> Picture:
        """A recoloured photo with probability `photo_share`, else a recoloured texture."""
        shelf = self.photos if rng.random() < photo_share else self.textures
        return recolour(shelf[rng.integers(len(shelf))], rng)


def load_pictures(config: ClipConfig) -> Pictures:
    """Load the photos and draw the textures."""
    rng = np.random.default_rng(config.seed)
    return Pictures(load_photos(), [dead_leaves(rng) for _ in range(config.textures)])


def fit_codec(pictures: Pictures, config: ClipConfig) -> PatchCodec:
    """Fit the patch codec to windows of the training pictures."""
    rng = np.random.default_rng(config.seed + 1)
    stills = [
        window(pictures.draw(config.photo_share, rng), config.height // 2, config.width // 2, rng) for _ in range(600)
    ]
    return PatchCodec.fit(torch.cat([encode_pixels(torch.from_numpy(still[None].copy())) for still in stills]))


def encode_pixels(frames: Tensor) -> Tensor:
    """uint8 `(f, h, w, 3)` to floats `(f, 3, h, w)` in -1..1."""
    return rearrange(frames.float() / 127.5 - 1, "f h w c -> f c h w")


def make_clip(
    pictures: Pictures, codec: PatchCodec, config: ClipConfig, rng: np.random.Generator
) -> tuple[Tensor, str, int]:
    """Render one clip; returns its latents `(c, f, h, w)`, its prompt and its motion bucket."""
    weights = np.array([motion.weight for motion in MOTIONS.values()])
    motion = list(MOTIONS.values())[rng.choice(len(weights), p=weights / weights.sum())]
    still = window(pictures.draw(config.photo_share, rng), config.height, config.width, rng)
    speed = config.top_speed * rng.uniform()
    frames = render(still, motion, speed, config.frames, config.height, config.width)
    bucket = motion_bucket(motion_score(frames.numpy()), strong_score=config.strong_score)
    latents = codec.encode(encode_pixels(frames)).latent_dist.mode()
    return rearrange(latents, "f c h w -> c f h w").half(), describe(motion, rng), bucket


def make_clips(config: ClipConfig, codec: PatchCodec, seed: int, count: int) -> list[tuple[Tensor, str, int]]:
    """Render `count` clips in this process."""
    torch.set_num_threads(1)
    pictures, rng = load_pictures(config), np.random.default_rng(seed)
    with torch.no_grad():
        return [make_clip(pictures, codec, config, rng) for _ in range(count)]


def make_pool(config: ClipConfig, codec: PatchCodec) -> ClipPool:
    """Render the whole pool with `config.processes` processes; the same configuration gives the same pool."""
    share = -(-config.clips // config.shards)
    jobs = [(config, codec, config.seed + 10 + shard, share) for shard in range(config.shards)]
    latents: list[Tensor] = []
    prompts: list[str] = []
    buckets: list[int] = []
    with multiprocessing.get_context("spawn").Pool(config.processes) as processes:
        for clips in processes.starmap(make_clips, jobs, chunksize=1):
            shard_latents, shard_prompts, shard_buckets = zip(*clips, strict=True)
            latents.append(torch.stack(shard_latents))
            prompts += shard_prompts
            buckets += shard_buckets
    return ClipPool(torch.cat(latents), prompts, torch.tensor(buckets))
