"""Encodes clips to motion latents and decodes them; `motion_codec.py` describes the latents."""

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from cinemo_core.detail import estimate
from cinemo_core.detail.steady import steady
from cinemo_core.detail.transfer import pictures
from cinemo_core.detail.warp import warp
from cinemo_core.latents import require_finite
from cinemo_core.media import Frames
from cinemo_core.motion_codec import MotionCodec


def encode_motion(vae: MotionCodec, frames: Frames, device: torch.device, flow: Tensor | None = None) -> Tensor:
    """Motion latents `(1, 5, f, h', w')`, float32, of frames `(f, h, w, 3)` uint8.

    `flow (f, 2, ...)` leads back to the first frame, in pixels, on any grid; it is estimated if not given.
    """
    known = measured_flow(frames, device) if flow is None else flow.to(device)
    latents = vae.encode_clip(pictures(frames, device) * 2 - 1, known)
    return rearrange(latents, "f c h w -> 1 c f h w")


def measured_flow(frames: Frames, device: torch.device) -> Tensor:
    """Estimated flow `(f, 2, h, w)` of frames `(f, h, w, 3)` uint8 back to the first of them, in pixels."""
    first, *others = pictures(frames, device)
    back = estimate(first, torch.stack(others))
    return torch.cat((torch.zeros_like(back[:1]), back))


def decode_motion(vae: MotionCodec, latents: Tensor, still: Frames, clip_frames: int) -> tuple[Frames, Tensor]:
    """Decode the latents `(1, 5, f, h', w')` of consecutive clips of the photo `still (h, w, 3)`.

    Each clip's flow leads to its own first frame, which is the last frame of the previous clip; `clip_frames` more
    frames follow it.

    Returns:
        Upscaled thumbnails `(f, h, w, 3)` uint8, the first of which is the photo, and the flow `(f - 1, 2, h, w)` of
        the others back to the photo, in pixels.

    Raises:
        NumbersOverflowed: the latents are not finite.
    """
    require_finite(latents)
    height, width, _ = still.shape
    frames = rearrange(latents, "1 c f h w -> f c h w")
    pixels = F.interpolate(vae.colours(frames), (height, width), mode="bicubic", align_corners=False)
    thumbnails = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    made = np.ascontiguousarray(rearrange(thumbnails, "f c h w -> f h w c").cpu().numpy())
    made[0] = still
    cells = vae.flow(frames[1:], height, width)
    return made, chained([steady(part, height, width) for part in cells.split(clip_frames)])


def chained(clips: list[Tensor]) -> Tensor:
    """Chain flows `(f, 2, h, w)` that lead back to each clip's first frame into flows to the first clip's."""
    start = torch.zeros_like(clips[0][0])
    flows = []
    for clip in clips:
        flows += [flow + warp(start, flow, mode="bilinear") for flow in clip]
        start = flows[-1]
    return torch.stack(flows)
