"""Three models that differ in one respect each, trained alike at small scale.

`residual` is the method. `frames` predicts the frames' latents themselves in place of what they add to the first one's.
`constant` is never told how much a clip moves.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from cinemo_core.latents import encode_frames
from cinemo_core.text import tokenize
from cinemo_core.training.loader import Clips, load_clips
from cinemo_core.training.networks import Model, build
from cinemo_core.training.objective import draw, make_task, weighted_loss
from cinemo_spec.training import TrainConfig

Variant = Literal["residual", "frames", "constant"]
VARIANTS: tuple[Variant, ...] = ("residual", "frames", "constant")
CONSTANT_BUCKET = 10.0
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Pool:
    """All training clips in memory: latents `(n, c, f, h, w)`, captions, motion buckets `(n,)`."""

    latents: Tensor
    captions: list[str]
    buckets: Tensor


@torch.no_grad()
def load_pool(clips: Clips, model: Model, count: int) -> Pool:
    """Decode and encode the clips once for all variants."""
    latents, captions, buckets = [], [], []
    for batch in load_clips(clips, iter([[number] for number in range(count)]), clips.config.workers):
        for clip in batch:
            assert clip.frames is not None
            latents.append(encode_frames(model.vae, clip.frames.numpy(), torch.device("cpu"), len(clip.frames)).half())
            captions.append(clip.caption)
            buckets.append(float(clip.intensity))
    return Pool(torch.cat(latents), captions, torch.tensor(buckets))


def train_variant(variant: Variant, config: TrainConfig, base: str, pool: Pool, device: torch.device) -> Model:
    """Train one model from the untrained one; all variants and seeds use the same number and size of batches."""
    model = build(config, base, device)
    networks = model.networks.train()
    optimizer = torch.optim.Adam(networks.parameters(), lr=LEARNING_RATE, fused=True)
    for step in range(config.steps):
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 50)
            group["lr"] = LEARNING_RATE * warm * (1.02 + math.cos(math.pi * step / config.steps)) / 2.02
        loss = batch_loss(variant, model, config, pool, step)
        loss.backward()
        nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        model.average.step(model.trained().values())
    model.average.copy_to(list(model.trained().values()))
    networks.eval()
    return model


def batch_loss(variant: Variant, model: Model, config: TrainConfig, pool: Pool, step: int) -> Tensor:
    """The loss of a step's batch, drawn from the run's seed."""
    device = next(model.networks.parameters()).device
    numbers = range(step * config.batch_size, (step + 1) * config.batch_size)
    chosen = torch.randint(
        len(pool.captions), (config.batch_size,), generator=torch.Generator().manual_seed(config.seed * 10_007 + step)
    )
    latents = pool.latents[chosen].float()
    shape = torch.Size((latents.shape[1], latents.shape[2] - 1, *latents.shape[3:]))
    draws = [draw(number, config.seed, shape, 1000, config.prompt_dropout) for number in numbers]
    captions = ["" if each.drop_caption else pool.captions[i] for each, i in zip(draws, chosen.tolist(), strict=True)]
    image_latent = latents[:, :, :1].to(device)
    if variant == "frames":
        # Against a first frame of zeros, what is noised is the frames themselves.
        latents = torch.cat((torch.zeros_like(latents[:, :, :1]), latents[:, :, 1:]), dim=2)
    buckets = torch.full((len(chosen),), CONSTANT_BUCKET) if variant == "constant" else pool.buckets[chosen]
    timesteps = torch.tensor([each.timestep for each in draws], device=device)
    noise = torch.stack([each.noise for each in draws]).to(device)
    task = make_task(latents.to(device), noise, timesteps, model.scheduler, None)
    tokens = tokenize(model.tokenizer, model.networks.text_encoder, captions).to(device)
    seen = task.noised - image_latent if variant == "frames" else task.noised
    with torch.autocast(device.type, torch.bfloat16):
        prediction = model.networks(seen, timesteps, tokens, image_latent, buckets.to(device))
    return weighted_loss(prediction, task)
