"""Sampling from a variant, starting from plain noise, an FFT low-pass, or DCTInit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler
from PIL import Image
from torch import Tensor

from cinemo_core import CinemoPipeline, DCTInit, refine_noise
from cinemo_core.latents import decode_latents
from cinemo_core.media import Frames, prepare_image
from cinemo_core.residual import compose
from cinemo_core.sampling import Conditions, denoise
from cinemo_core.training.networks import Model
from cinemo_core.unet import CinemoUNet
from tests.ablation.variants import CONSTANT_BUCKET, Variant

CUTOFF, NOISE_LEVEL, STEPS, GUIDANCE = 0.23, 975, 20, 1.3

Refine = Callable[[Tensor, Tensor, DDIMScheduler], Tensor]


class DirectFrames(torch.nn.Module):
    """A UNet of noised frames instead of noised residuals: it adds the first frame to its input."""

    def __init__(self, unet: CinemoUNet) -> None:
        super().__init__()
        self.unet = unet
        self.dtype = unet.dtype
        self.prepare = unet.prepare

    def forward(self, noised: Tensor, timestep: Any, text: Any, image_latent: Tensor, *others: Any) -> Tensor:
        """As `CinemoUNet.forward`."""
        prediction: Tensor = self.unet(noised - image_latent, timestep, text, image_latent, *others)
        return prediction


def plain(noise: Tensor, image_latent: Tensor, scheduler: DDIMScheduler) -> Tensor:
    return noise


def dct(noise: Tensor, image_latent: Tensor, scheduler: DDIMScheduler) -> Tensor:
    return refine_noise(noise, image_latent, scheduler, DCTInit(CUTOFF, NOISE_LEVEL))


def fft(noise: Tensor, image_latent: Tensor, scheduler: DDIMScheduler) -> Tensor:
    """Exchange low frequencies by an ideal low-pass of the Fourier transform (FreeInit, 2312.07537)."""
    noised = scheduler.add_noise(image_latent.expand_as(noise), noise, torch.tensor([NOISE_LEVEL]))
    axes = (-2, -1)
    vertical, horizontal = (torch.fft.fftfreq(size).abs() * 2 for size in noise.shape[-2:])
    low = (vertical[:, None] < CUTOFF) & (horizontal < CUTOFF)
    mixed = torch.where(low, torch.fft.fftn(noised, dim=axes), torch.fft.fftn(noise, dim=axes))
    return torch.fft.ifftn(mixed, dim=axes).real


BEGINNINGS: dict[str, Refine] = {"plain noise": plain, "FFT low-pass": fft, "DCTInit": dct}


@torch.no_grad()
def animate(
    variant: Variant,
    model: Model,
    photo: Image.Image,
    prompt: str,
    intensity: float,
    seed: int,
    refine: Refine,
    frames: int,
) -> Frames:
    """A clip `(f, h, w, 3)` uint8; its first frame is the photo's own pixels, as in the pipeline."""
    networks = model.networks
    pipe = CinemoPipeline(networks.unet, model.vae, networks.text_encoder, model.tokenizer, model.scheduler, model.card)
    still = np.asarray(prepare_image(photo, model.card.width, model.card.height))
    image_latent = pipe.encode(still[None], frames)
    text, negative_text = pipe.encode_text([prompt, ""]).chunk(2)
    bucket = pipe.bucket(CONSTANT_BUCKET if variant == "constant" else intensity)
    noise = torch.randn(
        (1, image_latent.shape[1], frames - 1, *image_latent.shape[3:]), generator=torch.Generator().manual_seed(seed)
    )
    start = refine(noise, image_latent.cpu(), model.scheduler).to(image_latent.device)
    unet: Any = DirectFrames(networks.unet) if variant == "frames" else networks.unet
    given = Conditions(image_latent, text, negative_text, bucket, GUIDANCE)
    made = denoise(unet, model.scheduler, start, given, STEPS)
    latents = torch.cat((image_latent, made), dim=2) if variant == "frames" else compose(image_latent, made)
    clip = decode_latents(model.vae, latents, frames)
    clip[0] = still
    return clip
