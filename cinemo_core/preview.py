"""Small pictures of the clip that a sampler predicts in the middle of its steps; nearly free, as no VAE decodes them.

A motion codec's flow warps the photo, and its thumbnails supply the light. Of any other VAE the latents are mapped to
colours linearly: one matrix, fitted by least squares to the photo and its own latents.
"""

import io

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image
from torch import Tensor

from cinemo_core.detail.warp import warp
from cinemo_core.media import Frames
from cinemo_core.motion_codec import MotionCodec
from cinemo_spec.marking.statement import SourceType, xmp

MAX_FRAMES = 8
LONG_SIDE = 96
"""Of a preview by a motion codec, in pixels; others are as large as their latents."""
RIDGE = 1e-3
WEBP = {"quality": 60, "method": 0}
"""Compression that takes a few milliseconds."""


@torch.no_grad()
def preview_frames(vae: object, latents: Tensor, still: Frames, clip_frames: int) -> Frames:
    """Up to 8 evenly spaced frames `(f', h, w, 3)` uint8 of predicted latents `(1, c, f, h', w')`.

    `still (h, w, 3)` is the photo as the model sees it, whose latent is the first. `clip_frames` frames of each clip
    follow its first one, as in `decode_motion`.
    """
    frames = rearrange(latents, "1 c f h w -> f c h w").float()
    shown = np.unique(np.linspace(0, len(frames) - 1, MAX_FRAMES).round().astype(int))
    photo = torch.from_numpy(still.copy()).to(latents.device).permute(2, 0, 1).float() / 127.5 - 1
    if isinstance(vae, MotionCodec):
        pixels = warped(vae, frames, photo, clip_frames, set(shown.tolist()))
    else:
        pixels = linear_colours(frames, photo)[shown]
    pixels = ((pixels + 1) * 127.5).round().clamp(0, 255).nan_to_num().to(torch.uint8)
    return np.ascontiguousarray(rearrange(pixels, "f c h w -> f h w c").cpu().numpy())


def warped(vae: MotionCodec, frames: Tensor, photo: Tensor, clip_frames: int, shown: set[int]) -> Tensor:
    """The `shown` frames `(f', 3, h, w)` in -1..1 of motion latents `(f, 5, h', w')`, from the photo `(3, H, W)`."""
    scale = LONG_SIDE / max(photo.shape[-2:])
    height, width = (max(2, round(side * scale)) for side in photo.shape[-2:])
    small = F.interpolate(photo[None], (height, width), mode="area")[0]
    flows = F.interpolate(vae.flow(frames, height, width), (height, width), mode="bilinear", align_corners=False)
    start, pictures = torch.zeros_like(flows[0]), []
    for number, flow in enumerate(flows):
        clip_ends = number > 0 and number % clip_frames == 0
        if number in shown or clip_ends:
            chained = flow + warp(start, flow, mode="bilinear")
        if number in shown:
            pictures.append(warp(small, chained, mode="bilinear"))
        if clip_ends:
            start = chained
    return with_light(torch.stack(pictures), vae.colours(frames)[sorted(shown)])


def with_light(pictures: Tensor, colours: Tensor) -> Tensor:
    """Pictures `(f, 3, h, w)` with the mean colours `(f, 3, h', w')` of their cells."""
    cells = F.interpolate(pictures, colours.shape[-2:], mode="area")
    change = colours - cells
    return pictures + F.interpolate(change, pictures.shape[-2:], mode="bilinear", align_corners=False)


def linear_colours(frames: Tensor, photo: Tensor) -> Tensor:
    """Colours `(f, 3, h', w')` in -1..1 of latents `(f, c, h', w')`, the first of which is that of the photo.

    Ridge regression in closed form, which also holds for latents without variance.
    """
    latents = F.pad(rearrange(frames, "f c h w -> f (h w) c"), (0, 1), value=1.0)
    first = latents[0]
    colours = rearrange(F.interpolate(photo[None], frames.shape[-2:], mode="area"), "1 c h w -> (h w) c")
    gram = first.T @ first + RIDGE * len(first) * torch.eye(first.shape[1], device=first.device)
    matrix = torch.linalg.solve(gram, first.T @ colours)
    return rearrange(latents @ matrix, "f (h w) c -> f c h w", h=frames.shape[-2])


def encode_preview(frames: Frames, seconds: float, source: SourceType | None = None) -> bytes:
    """Frames `(f, h, w, 3)` uint8 as an animated WebP that lasts so long and loops; with `source`, marked as AI's."""
    first, *others = (Image.fromarray(frame) for frame in frames)
    file = io.BytesIO()
    marks = {"xmp": xmp(source)} if source else {}
    duration = max(1, round(seconds * 1000 / len(frames)))
    first.save(file, "WEBP", save_all=True, append_images=others, duration=duration, loop=0, **WEBP, **marks)
    return file.getvalue()
