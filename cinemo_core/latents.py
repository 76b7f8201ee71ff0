"""Encodes frames to latents and decodes them, in chunks. Knows the VAE interface of diffusers, not which VAE it is."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLTemporalDecoder
from einops import rearrange
from torch import Tensor

from cinemo_core.media import Frames
from cinemo_spec.errors import NumbersOverflowed


def encode_frames(vae: Any, frames: Frames, device: torch.device, chunk: int) -> Tensor:
    """Encode frames `(f, h, w, 3)` uint8 to scaled latents `(1, c, f, h', w')`, float32, `chunk` frames at a time."""
    latents = []
    with wide_enough(vae):
        for part in np.array_split(frames, math.ceil(len(frames) / chunk)):
            pixels = torch.from_numpy(part.copy()).to(device, vae.dtype) / 127.5 - 1
            latents.append(vae.encode(rearrange(pixels, "f h w c -> f c h w")).latent_dist.mode().float())
    return rearrange(torch.cat(latents) * vae.config.scaling_factor, "f c h w -> 1 c f h w")


def decode_latents(vae: Any, latents: Tensor, chunk: int) -> Frames:
    """Decode scaled latents `(1, c, f, h', w')` to uint8 frames `(f, h, w, 3)`, up to `chunk` frames at once.

    A temporal decoder smooths across the frames of a chunk, so no frame is decoded alone; for other VAEs, the chunk
    size only affects memory.

    Raises:
        NumbersOverflowed: latents or pixels are not finite.
    """
    require_finite(latents)
    frames = rearrange(latents, "1 c f h w -> f c h w") / vae.config.scaling_factor
    with wide_enough(vae):
        parts = frames.tensor_split(math.ceil(len(frames) / chunk))
        return np.concatenate([decode_chunk(vae, part.to(vae.dtype)) for part in parts])


def decode_chunk(vae: Any, latents: Tensor) -> Frames:
    """Decode latents `(f, c, h', w')` to uint8 frames `(f, h, w, 3)`."""
    arguments = {"num_frames": len(latents)} if isinstance(vae, AutoencoderKLTemporalDecoder) else {}
    pixels = vae.decode(latents, **arguments).sample
    require_finite(pixels)
    pixels = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return rearrange(pixels, "f c h w -> f h w c").cpu().numpy()


@contextmanager
def wide_enough(vae: Any) -> Iterator[None]:
    """Run a VAE in float32 if it is in float16 and its configuration says that it would overflow."""
    narrow = vae.dtype == torch.float16 and vae.config.get("force_upcast", False)
    if narrow:
        vae.to(torch.float32)
    try:
        yield
    finally:
        if narrow:
            vae.to(torch.float16)


def require_finite(numbers: Tensor) -> None:
    """Raise `NumbersOverflowed` if a value is infinite or NaN, which would be shown as black."""
    if not numbers.isfinite().all():
        raise NumbersOverflowed(
            "the model's numbers overflowed: load it in torch.float32 or torch.bfloat16, or lower guidance_scale"
        )
