"""Frames to latents and back, a few at a time. Knows the VAE interface of diffusers, not which VAE it is."""

from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLTemporalDecoder
from einops import rearrange
from torch import Tensor

from cinemo_core.media import Frames


def encode_frames(vae: Any, frames: Frames, device: torch.device, chunk: int) -> Tensor:
    """Frames `(f, h, w, 3)` uint8 to scaled latents `(1, c, f, h', w')`, float32, `chunk` frames at a time."""
    latents = []
    for part in np.array_split(frames, range(chunk, len(frames), chunk)):
        pixels = torch.from_numpy(part.copy()).to(device, vae.dtype) / 127.5 - 1
        latents.append(vae.encode(rearrange(pixels, "f h w c -> f c h w")).latent_dist.mode().float())
    return rearrange(torch.cat(latents) * vae.config.scaling_factor, "f c h w -> 1 c f h w")


def decode_latents(vae: Any, latents: Tensor, chunk: int) -> Frames:
    """Scaled latents `(1, c, f, h', w')` to uint8 frames `(f, h, w, 3)`, `chunk` frames at a time.

    A VAE with a temporal decoder smooths over the frames that it gets together; for others the chunk is a matter of
    memory alone.
    """
    frames = rearrange(latents, "1 c f h w -> f c h w") / vae.config.scaling_factor
    return np.concatenate([decode_chunk(vae, part.to(vae.dtype)) for part in frames.split(chunk)])


def decode_chunk(vae: Any, latents: Tensor) -> Frames:
    """Latents `(f, c, h', w')` to uint8 frames `(f, h, w, 3)`."""
    arguments = {"num_frames": len(latents)} if isinstance(vae, AutoencoderKLTemporalDecoder) else {}
    pixels = vae.decode(latents, **arguments).sample
    pixels = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return rearrange(pixels, "f c h w -> f h w c").cpu().numpy()
