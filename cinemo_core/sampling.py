"""The denoising loop with classifier-free guidance, and its inversion: functions of tensors, no images and no text.

Residuals stay in float32 between steps, whatever the network's dtype: at the last timesteps the signal is a hundredth
of the noise, and half precision would lose it. Sources: DDIM, arXiv 2010.02502, eq. 12; classifier-free guidance,
arXiv 2207.12598.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from cinemo_core.samplers import Sampler
from cinemo_core.unet import CinemoUNet, FeatureCache

OnStep = Callable[[int, int, Tensor, Tensor], Tensor]
"""Called after each step with its index and timestep, the residual, and the clean residual that the step predicts."""


@dataclass(frozen=True)
class Conditions:
    """The conditioning of a clip.

    Attributes:
        image_latent: `(b, c, 1, h, w)`.
        text: text states of the prompt, `(b, tokens, d)`.
        negative_text: of the negative prompt, same shape.
        motion_bucket: `(b,)`.
        guidance_scale: 1 means no guidance, at half the cost.
        guidance_rescale: how far guided predictions are scaled back to the contrast of those with text, 0..1.
    """

    image_latent: Tensor
    text: Tensor
    negative_text: Tensor
    motion_bucket: Tensor
    guidance_scale: float
    guidance_rescale: float = 0

    def guided(self, without: Tensor, with_text: Tensor) -> Tensor:
        """Classifier-free guidance: combine the predictions `(b, …)` for the negative prompt and the prompt.

        Guidance raises the standard deviation of a prediction; rescaling undoes that (arXiv 2305.08891, section 3.4).
        """
        guided = classifier_free(without, with_text, self.guidance_scale)
        if self.guidance_rescale == 0:
            return guided
        over = tuple(range(1, guided.ndim))
        contrast = with_text.std(over, keepdim=True) / guided.std(over, keepdim=True)
        return guided.lerp(guided * contrast, self.guidance_rescale)


def classifier_free(without: Tensor, with_text: Tensor, guidance_scale: float) -> Tensor:
    """The prediction `(b, …)` that is guided away from the one without the text (arXiv 2207.12598, eq. 6)."""
    return without + guidance_scale * (with_text - without)


class Predictor:
    """The network bound to a clip: everything that is the same in every step is computed once."""

    def __init__(self, unet: CinemoUNet, given: Conditions, frames: int, cache_interval: int = 1) -> None:
        """Prepare for residuals of `frames` frames; deep features are computed in every `cache_interval`-th call."""
        self.unet = unet
        self.copies = 1 if given.guidance_scale == 1 else 2
        self.guided = given.guided
        text = given.text if self.copies == 1 else torch.cat((given.negative_text, given.text))
        self.context = unet.prepare(text.to(unet.dtype), frames)
        self.image_latent = given.image_latent.to(unet.dtype).repeat(self.copies, 1, 1, 1, 1)
        self.motion_bucket = given.motion_bucket.repeat(self.copies)
        self.cache_interval = cache_interval
        self.features: FeatureCache | None = None
        self.calls = 0

    def __call__(self, residual: Tensor, timestep: Tensor) -> Tensor:
        """The guided prediction for a noised residual `(b, c, f, h, w)`, float32; both texts share one batch.

        The timestep is a scalar tensor, as `torch.compile` would recompile the network for every number.
        """
        if self.cache_interval > 1 and self.calls % self.cache_interval == 0:
            self.features = FeatureCache()
        self.calls += 1
        noised = residual.to(self.image_latent.dtype).repeat(self.copies, 1, 1, 1, 1)
        prediction: Tensor = self.unet(
            noised, timestep, self.context, self.image_latent, self.motion_bucket, self.features
        ).float()
        if self.copies == 1:
            return prediction
        return self.guided(*prediction.chunk(2))


@torch.no_grad()
def denoise(
    unet: CinemoUNet,
    scheduler: Sampler,
    residual: Tensor,
    given: Conditions,
    num_inference_steps: int,
    on_step: OnStep = lambda step, timestep, residual, clean: residual,
    cache_interval: int = 1,
) -> Tensor:
    """Turn noise `(b, c, f, h, w)` into motion residuals, float32.

    `on_step` is called after each step; the loop continues with its return value, and ends if it raises. With a
    `cache_interval` above 1, steps in between reuse the deep features of the last full step, which is faster but not
    exact.
    """
    predict = Predictor(unet, given, residual.shape[2], cache_interval)
    scheduler.set_timesteps(num_inference_steps)
    for index, (timestep, step_tensor) in enumerate(timesteps_of(scheduler, residual.device)):
        stepped = scheduler.step(predict(residual, step_tensor), timestep, residual)
        residual = on_step(index, timestep, stepped.prev_sample, predicted_clean(scheduler, stepped))
    return residual


@torch.no_grad()
def invert(
    unet: CinemoUNet,
    scheduler: DDIMScheduler,
    residual: Tensor,
    given: Conditions,
    num_inference_steps: int,
    on_step: OnStep = lambda step, timestep, residual, clean: residual,
) -> Tensor:
    """DDIM inversion: the noise `(b, c, f, h, w)`, float32, that `denoise` turns into `residual`.

    `on_step` is called as in `denoise`.
    """
    predict = Predictor(unet, given, residual.shape[2])
    scheduler.set_timesteps(num_inference_steps)
    stride = scheduler.config.num_train_timesteps // num_inference_steps
    for index, (timestep, step_tensor) in enumerate(reversed(timesteps_of(scheduler, residual.device))):
        prediction = predict(residual, step_tensor)
        clean, noise = split_prediction(scheduler, residual, prediction, alpha_bar(scheduler, timestep - stride))
        after = alpha_bar(scheduler, timestep)
        residual = on_step(index, timestep, after.sqrt() * clean + (1 - after).sqrt() * noise, clean)
    return residual


def predicted_clean(scheduler: Sampler, stepped: Any) -> Tensor:
    """The clean residual that a step's output predicts; the solvers keep it for their next steps."""
    if isinstance(scheduler, DDIMScheduler):
        clean: Tensor = stepped.pred_original_sample
        return clean
    return scheduler.model_outputs[-1]


def timesteps_of(scheduler: Sampler, device: torch.device) -> list[tuple[int, Tensor]]:
    """Each timestep as a number, for the scheduler, and as a scalar tensor on the network's device.

    The schedule stays on the host: reading it from a GPU in the loop would wait for the network.
    """
    return list(zip(scheduler.timesteps.tolist(), scheduler.timesteps.to(device), strict=True))


def alpha_bar(scheduler: DDIMScheduler, timestep: int) -> Tensor:
    """Cumulative alpha, the share of signal variance, at a timestep; before the first, the scheduler's final value."""
    return scheduler.alphas_cumprod[timestep] if timestep >= 0 else scheduler.final_alpha_cumprod


def split_prediction(
    scheduler: DDIMScheduler, sample: Tensor, prediction: Tensor, alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """Split a sample into the clean sample and the noise that a prediction implies."""
    signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
    if scheduler.config.prediction_type == "v_prediction":
        return signal * sample - sigma * prediction, signal * prediction + sigma * sample
    return (sample - sigma * prediction) / signal, prediction
