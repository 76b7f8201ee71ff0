"""The denoising loop with classifier-free guidance, and its inversion: functions of tensors, no images and no text.

Sources: DDIM, arXiv 2010.02502, eq. 12; classifier-free guidance, arXiv 2207.12598.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from cinemo_core.unet import CinemoUNet

OnStep = Callable[[int, int, Tensor], Tensor]


@dataclass(frozen=True)
class Conditions:
    """What a clip is made of.

    Attributes:
        image_latent: `(b, c, 1, h, w)`.
        text: text states of the prompt, `(b, tokens, d)`.
        negative_text: of the negative prompt, same shape.
        motion_bucket: `(b,)`.
        guidance_scale: 1 is none, and costs half.
    """

    image_latent: Tensor
    text: Tensor
    negative_text: Tensor
    motion_bucket: Tensor
    guidance_scale: float


def predict(unet: CinemoUNet, residual: Tensor, timestep: int, given: Conditions) -> Tensor:
    """The guided prediction for a noised residual `(b, c, f, h, w)`; one batch holds both texts."""
    if given.guidance_scale == 1:
        return cast(Tensor, unet(residual, timestep, given.text, given.image_latent, given.motion_bucket))
    twice = [torch.cat((part, part)) for part in (residual, given.image_latent, given.motion_bucket)]
    text = torch.cat((given.negative_text, given.text))
    without, with_text = unet(twice[0], timestep, text, twice[1], twice[2]).chunk(2)
    return cast(Tensor, without + given.guidance_scale * (with_text - without))


def denoise(
    unet: CinemoUNet,
    scheduler: DDIMScheduler,
    residual: Tensor,
    given: Conditions,
    num_inference_steps: int,
    on_step: OnStep = lambda step, timestep, residual: residual,
) -> Tensor:
    """Turn noise `(b, c, f, h, w)` into motion residuals.

    `on_step(index, timestep, residual)` is called after each step; what it returns is carried on with, and what it
    raises ends the loop.
    """
    scheduler.set_timesteps(num_inference_steps, device=residual.device)
    for index, timestep in enumerate(scheduler.timesteps.tolist()):
        prediction = predict(unet, residual, timestep, given)
        residual = scheduler.step(prediction, timestep, residual, eta=0.0).prev_sample
        residual = on_step(index, timestep, residual)
    return residual


def invert(
    unet: CinemoUNet, scheduler: DDIMScheduler, residual: Tensor, given: Conditions, num_inference_steps: int
) -> Tensor:
    """DDIM inversion: the noise `(b, c, f, h, w)` from which `denoise` would arrive at `residual`."""
    scheduler.set_timesteps(num_inference_steps, device=residual.device)
    stride = scheduler.config.num_train_timesteps // num_inference_steps
    for timestep in reversed(scheduler.timesteps.tolist()):
        prediction = predict(unet, residual, timestep, given)
        clean, noise = split_prediction(scheduler, residual, prediction, alpha_bar(scheduler, timestep - stride))
        after = alpha_bar(scheduler, timestep)
        residual = after.sqrt() * clean + (1 - after).sqrt() * noise
    return residual


def alpha_bar(scheduler: DDIMScheduler, timestep: int) -> Tensor:
    """Share of signal variance at a timestep; before the first one, the scheduler's final value."""
    return scheduler.alphas_cumprod[timestep] if timestep >= 0 else scheduler.final_alpha_cumprod


def split_prediction(
    scheduler: DDIMScheduler, sample: Tensor, prediction: Tensor, alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """The clean sample and the noise that a prediction says a sample is made of."""
    signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
    if scheduler.config.prediction_type == "v_prediction":
        return signal * sample - sigma * prediction, signal * prediction + sigma * sample
    return (sample - sigma * prediction) / signal, prediction
