"""The loss of a run's clips, from frames or cached latents to a scalar. Source: arXiv 2407.15642, algorithm 1."""

from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from cinemo_core.latents import encode_frames
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.motion_latents import encode_motion
from cinemo_core.text import tokenize
from cinemo_core.training.distillation import Given, make_distillation_task
from cinemo_core.training.loader import Clip
from cinemo_core.training.objective import draw, make_task, weighted_loss
from cinemo_core.training.run import Run

ENCODED_FRAMES = 16


def clip_loss(run: Run, clips: list[Clip]) -> Tensor:
    """The loss of a micro-batch, a scalar."""
    device, config, scheduler = run.accelerator.device, run.config, run.model.scheduler
    latents = torch.cat([clip_latents(run, clip) for clip in clips])
    shape = torch.Size((latents.shape[1], latents.shape[2] - 1, *latents.shape[3:]))
    distilled = config.method == "distill"
    times = config.distillation.solver_steps if distilled else scheduler.config.num_train_timesteps
    draws = [draw(clip.number, config.seed, shape, times, config.prompt_dropout) for clip in clips]
    captions = ["" if drawn.drop_caption else clip.caption for drawn, clip in zip(draws, clips, strict=True)]
    tokens = tokens_of(run, captions)
    scale = run.model.card.motion_scale
    buckets = torch.tensor([float(scale.bucket(clip.intensity)) for clip in clips], device=device)
    noise = torch.stack([drawn.noise for drawn in draws]).to(device)
    drawn_times = torch.tensor([drawn.timestep for drawn in draws])
    gamma = config.objective.min_snr_gamma
    if distilled:
        given = Given(tokens, tokens_of(run, [""] * len(clips)), buckets)
        with run.accelerator.autocast():
            task = make_distillation_task(run.model, config.distillation, latents, noise, drawn_times, given, gamma)
    else:
        task = make_task(latents, noise, drawn_times.to(device), scheduler, gamma)
    prediction = run.network(task.noised, task.timesteps, tokens, task.image_latent, buckets)
    return weighted_loss(prediction, task, config.objective.flow_smoothness)


def tokens_of(run: Run, captions: list[str]) -> Tensor:
    """Token ids `(b, tokens)`."""
    return tokenize(run.model.tokenizer, run.model.networks.text_encoder, captions).to(run.accelerator.device)


@torch.no_grad()
def clip_latents(run: Run, clip: Clip) -> Tensor:
    """A clip's latents `(1, c, f, h', w')`, float32, from the cache if they are there; otherwise encodes them.

    With a cache, new latents are rounded to float16 as well, so that a clip is the same in every epoch.
    """
    device = run.accelerator.device
    if clip.latents is not None:
        return clip.latents[None].to(device).float()
    assert clip.frames is not None
    latents = encode_clip(run.model.vae, clip, device)
    if clip.cache_file is None:
        return latents
    latents = latents.half()
    write_cached(clip, latents[0])
    return latents.float()


def encode_clip(vae: Any, clip: Clip, device: torch.device) -> Tensor:
    """Latents `(1, c, f, h', w')`, float32; flow that they contain is estimated if the clip does not supply it."""
    assert clip.frames is not None
    if not isinstance(vae, MotionCodec):
        return encode_frames(vae, clip.frames.numpy(), device, ENCODED_FRAMES)
    return encode_motion(vae, clip.frames.numpy(), device, clip.flow)


def write_cached(clip: Clip, latents: Tensor) -> None:
    """Write a clip's latents to its cache file atomically."""
    assert clip.cache_file is not None
    clip.cache_file.parent.mkdir(parents=True, exist_ok=True)
    draft = clip.cache_file.with_suffix(f".{clip.number}.part")
    save_file({"latents": latents.cpu().contiguous(), "intensity": torch.tensor(clip.intensity)}, draft)
    draft.replace(clip.cache_file)
