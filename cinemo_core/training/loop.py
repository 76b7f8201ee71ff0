"""The training loop: residuals noised by the scheduler, the UNet's prediction against its target, an average kept.

One function a stage of the run; every random number comes from the recipe's seed and the step, so a resumed run is the
same run. Source: arXiv 2407.15642, section 3.2.
"""

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import trange
from transformers import CLIPTextModel, CLIPTokenizer

from cinemo_core.codec import PatchCodec
from cinemo_core.residual import split_residual
from cinemo_core.training.config import Recipe, Stage
from cinemo_core.training.data import ClipPool, fit_codec, load_pictures, make_pool
from cinemo_core.training.text import make_text_encoder, make_tokenizer
from cinemo_core.unet import CinemoUNet


class Networks(nn.Module):
    """What is trained: the UNet and the text encoder."""

    def __init__(self, unet: CinemoUNet, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet = unet
        self.text_encoder = text_encoder


@dataclass
class Run:
    """A training run in flight."""

    recipe: Recipe
    folder: Path
    device: torch.device
    codec: PatchCodec
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    networks: Networks
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    step: int = 0


def make_scheduler(prediction_type: str) -> DDIMScheduler:
    """The method's noise schedule: linear betas from 1e-4 to 2e-2 over 1000 timesteps."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=2e-2,
        beta_schedule="linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )


def build_networks(recipe: Recipe, codec: PatchCodec, tokenizer: CLIPTokenizer) -> Networks:
    """Networks with seeded random weights; the last convolution starts at zero, so the first prediction is none."""
    torch.manual_seed(recipe.seed)
    channels = codec.config.latent_channels
    unet = CinemoUNet(
        in_channels=channels, out_channels=channels, cross_attention_dim=recipe.text.width, **recipe.unet.model_dump()
    )
    nn.init.zeros_(unet.conv_out.weight)
    return Networks(unet.to(memory_format=torch.channels_last), make_text_encoder(recipe.text, tokenizer))


def prepare_clips(recipe: Recipe, folder: Path) -> tuple[PatchCodec, ClipPool]:
    """Fit the codec and render the pool, or read both back from an earlier start of the same run."""
    pool_file, prompts_file, codec_folder = folder / "pool.safetensors", folder / "prompts.json", folder / "vae"
    if prompts_file.exists():
        tensors = load_file(pool_file)
        pool = ClipPool(tensors["latents"], json.loads(prompts_file.read_text()), tensors["buckets"])
        return PatchCodec.from_pretrained(codec_folder), pool
    with torch.no_grad():
        codec = fit_codec(load_pictures(recipe.clips), recipe.clips)
        pool = make_pool(recipe.clips, codec)
        # The schedule expects residuals of unit variance.
        deviation = split_residual(pool.latents[:512].float())[1].std()
        codec.scale.mul_(deviation)
        pool = ClipPool((pool.latents / deviation.half()), pool.prompts, pool.buckets)
    codec.save_pretrained(codec_folder)
    save_file({"latents": pool.latents, "buckets": pool.buckets}, pool_file)
    prompts_file.write_text(json.dumps(pool.prompts))
    return codec, pool


def train(recipe: Recipe, folder: Path, device: str = "cpu") -> Run:
    """Carry out a recipe, resuming where `folder` holds an unfinished run of it; the log is `folder/log.jsonl`."""
    folder.mkdir(parents=True, exist_ok=True)
    codec, pool = prepare_clips(recipe, folder)
    run = start(recipe, folder, torch.device(device), codec)
    log(run, {"step": run.step, "machine": machine(run.device)})
    first = 0
    for stage in recipe.stages:
        train_stage(run, pool, stage, first)
        first += stage.steps
    save(run)
    return run


def start(recipe: Recipe, folder: Path, device: torch.device, codec: PatchCodec) -> Run:
    """Build a run and load its last saved state, if any."""
    tokenizer = make_tokenizer(folder / "tokenizer", recipe.text.tokens)
    networks = build_networks(recipe, codec, tokenizer).to(device)
    average = AveragedModel(networks, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))
    optimizer = torch.optim.Adam(networks.parameters(), lr=1e-4, fused=True)
    scheduler = make_scheduler(recipe.prediction_type)
    run = Run(recipe, folder, device, codec, tokenizer, scheduler, networks, average, optimizer)
    state_file = folder / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=True)
        networks.load_state_dict(state["networks"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        run.step = state["step"]
    return run


def train_stage(run: Run, pool: ClipPool, stage: Stage, first: int) -> None:
    """Take the steps of one stage that are still to be taken."""
    losses: list[float] = []
    since = time.monotonic()
    last = first + stage.steps
    for step in trange(run.step, last, initial=run.step, total=last, desc=run.recipe.name, mininterval=5):
        losses.append(train_step(run, pool, stage, step, first))
        run.step = step + 1
        if run.step % run.recipe.log_every_steps == 0:
            seconds = (time.monotonic() - since) / len(losses)
            loss = sum(losses) / len(losses)
            log(run, {"step": run.step, "loss": round(loss, 5), "seconds_per_step": round(seconds, 4)})
            losses, since = [], time.monotonic()
        if run.step % run.recipe.save_every_steps == 0:
            save(run)


def train_step(run: Run, pool: ClipPool, stage: Stage, step: int, first: int) -> float:
    """One optimizer step of the stage that begins at step `first`; returns the loss."""
    recipe = run.recipe
    rng = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    indices = torch.randint(len(pool.prompts), (stage.batch,), generator=rng)
    latents, prompts, buckets = pool.batch(indices, stage.frames, stage.height, stage.width)
    dropped = torch.rand(stage.batch, generator=rng) < recipe.prompt_dropout
    prompts = ["" if drop else prompt for prompt, drop in zip(prompts, dropped.tolist(), strict=True)]
    image_latent, residual = split_residual(latents)
    noise = torch.randn(residual.shape, generator=rng)
    timesteps = torch.randint(run.scheduler.config.num_train_timesteps, (stage.batch,), generator=rng)
    image_latent, residual, noise, timesteps, buckets = (
        tensor.to(run.device) for tensor in (image_latent, residual, noise, timesteps, buckets)
    )

    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(stage, step - first)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=recipe.autocast_bfloat16):
        text = run.networks.text_encoder(tokenize(run.tokenizer, prompts).to(run.device)).last_hidden_state
        noised = run.scheduler.add_noise(residual, noise, timesteps)
        prediction = run.networks.unet(noised, timesteps, text, image_latent, buckets)
    loss = F.mse_loss(prediction.float(), target(run.scheduler, residual, noise, timesteps))
    loss.backward()
    nn.utils.clip_grad_norm_(run.networks.parameters(), 1.0)
    run.optimizer.step()
    run.optimizer.zero_grad()
    run.average.update_parameters(run.networks)
    return loss.item()


def target(scheduler: DDIMScheduler, residual: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """What the UNet is to predict: the noise, or the velocity (arXiv 2202.00512, appendix D)."""
    if scheduler.config.prediction_type == "epsilon":
        return noise
    return cast(Tensor, scheduler.get_velocity(residual, noise, timesteps))


def tokenize(tokenizer: CLIPTokenizer, prompts: list[str]) -> Tensor:
    """Token ids `(b, tokens)`, padded and cut to the encoder's length."""
    batch = tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt")
    return cast(Tensor, batch.input_ids)


def learning_rate(stage: Stage, step: int) -> float:
    """Linear warm-up, then half a cosine from the stage's first rate down to its last."""
    warm = min(1.0, (step + 1) / max(stage.warmup_steps, 1))
    cosine = (1 + math.cos(math.pi * step / stage.steps)) / 2
    return warm * (stage.last_learning_rate + cosine * (stage.learning_rate - stage.last_learning_rate))


def machine(device: torch.device) -> str:
    """What kind of machine computes, for the log."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU cores, {torch.backends.cpu.get_cpu_capability()}"


def log(run: Run, record: dict[str, Any]) -> None:
    """Append a line to the run's log; a start, first or resumed, is a line that names the machine."""
    with (run.folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def save(run: Run) -> None:
    """Write the state in one step, so that a run killed while writing resumes from the state before."""
    state = {
        "networks": run.networks.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "step": run.step,
    }
    draft = run.folder / "state.pt.part"
    torch.save(state, draft)
    os.replace(draft, run.folder / "state.pt")
