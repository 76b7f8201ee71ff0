"""The training objective: noise a clip's residuals to a random timestep, and measure the prediction's error.

Source: arXiv 2407.15642, algorithm 1. Random numbers are drawn clip by clip on the CPU, each from the seed and the
clip's number, so that they are the same however clips are spread over batches, processes and devices.
"""

from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from cinemo_core.motion_codec import FLOWS
from cinemo_core.residual import split_residual
from cinemo_core.training.loader import stable_seed


@dataclass(frozen=True)
class Draws:
    """Random numbers for a clip: noise `(c, f, h, w)`, a timestep, and whether its caption is dropped."""

    noise: Tensor
    timestep: int
    drop_caption: bool


def draw(number: int, seed: int, shape: torch.Size, timesteps: int, prompt_dropout: float) -> Draws:
    """Draw the random numbers of a clip whose residual has that shape."""
    generator = torch.Generator().manual_seed(stable_seed(seed, number, 1))
    noise = torch.randn(shape, generator=generator)
    timestep = int(torch.randint(timesteps, (), generator=generator))
    return Draws(noise, timestep, bool(torch.rand((), generator=generator) < prompt_dropout))


@dataclass(frozen=True)
class Task:
    """The network's inputs and target.

    Attributes:
        image_latent: `(b, c, 1, h, w)`.
        noised: residuals noised to `timesteps`, `(b, c, f, h, w)`.
        timesteps: `(b,)`.
        target: the noise or the velocity, shape of `noised`.
        weights: of each clip in the loss, `(b,)`.
        noise_shares: of the noise in the noised residuals' variance, `(b,)`.
    """

    image_latent: Tensor
    noised: Tensor
    timesteps: Tensor
    target: Tensor
    weights: Tensor
    noise_shares: Tensor


def slope_loss(error: Tensor, noise_shares: Tensor) -> Tensor:
    """Mean squared slope of the predicted flow's error, `(b,)`: errors that neighbours share cost nothing.

    Scaled by the noise's share of the variance, which turns an error `(b, c, f, h, w)` of the velocity into one of the
    clean latents.
    """
    flow = error[:, -FLOWS:]
    slopes = (flow.diff(dim=-1).square().flatten(1).mean(1) + flow.diff(dim=-2).square().flatten(1).mean(1)) / 2
    return slopes * noise_shares


def make_task(
    latents: Tensor, noise: Tensor, timesteps: Tensor, scheduler: DDIMScheduler, min_snr_gamma: float | None
) -> Task:
    """Noise the residuals of clip latents `(b, c, f + 1, h, w)`."""
    image_latent, residual = split_residual(latents)
    noised = scheduler.add_noise(residual, noise, timesteps)
    velocity = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(residual, noise, timesteps) if velocity else noise
    weights = loss_weights(scheduler, timesteps, min_snr_gamma)
    noise_shares = 1 - scheduler.alphas_cumprod.to(timesteps.device)[timesteps]
    return Task(image_latent, noised, timesteps, target, weights, noise_shares)


def loss_weights(scheduler: DDIMScheduler, timesteps: Tensor, min_snr_gamma: float | None) -> Tensor:
    """Weight of each timestep, `(b,)`: 1, or Min-SNR for noise or velocity (arXiv 2303.09556, section 3.4)."""
    if min_snr_gamma is None:
        return torch.ones(len(timesteps), device=timesteps.device)
    alpha = scheduler.alphas_cumprod.to(timesteps.device)[timesteps]
    snr = alpha / (1 - alpha)
    clipped = snr.clamp(max=min_snr_gamma)
    return clipped / (snr + 1) if scheduler.config.prediction_type == "v_prediction" else clipped / snr


def weighted_loss(prediction: Tensor, task: Task, flow_smoothness: float = 0.0) -> Tensor:
    """Weighted mean of each clip's mean squared error: a float32 scalar."""
    error = prediction.float() - task.target.float()
    loss = error.square().flatten(1).mean(dim=1)
    if flow_smoothness:
        loss = loss + flow_smoothness * slope_loss(error, task.noise_shares)
    return (loss * task.weights).mean()
