"""Estimates and removes the grain of generated frames."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from cinemo_core.detail.blur import blur

# Boundaries of the frequency bands in which grain is measured, as blur in pixels, finest first.
LIMITS = (0.0, 1.0, 2.0, 4.0, 8.0)
CALM_SHARE = 0.25
CALMER_SHARE = 0.15
# Grain of the whole picture relative to its calmest part: learned codecs produce more where there is detail.
WHOLE = 1.3
GRAINY_FROM = 2.5 / 255

Preset = Literal["clean", "grainy"]


def bands(picture: Tensor) -> Tensor:
    """Split `picture (..., h, w)` into the bands between `LIMITS`, finest first: `(4, ..., h, w)`."""
    levels = [blur(picture, limit) for limit in LIMITS]
    return torch.stack([finer - coarser for finer, coarser in pairwise(levels)])


def energy(picture: Tensor, window: float) -> Tensor:
    """Mean square of `picture (..., 3, h, w)` around each pixel, `(..., h, w)`."""
    return blur((picture**2).mean(-3), window)


def calm(picture: Tensor) -> Tensor:
    """Energy of the second band in the flattest quarter of `picture (3, h, w)`."""
    band = blur(picture, LIMITS[1]) - blur(picture, LIMITS[2])
    return energy(band, 3 * picture.shape[-1] / 192)[::2, ::2].quantile(CALM_SHARE)


def judge(photo: Tensor, frames: Tensor) -> Preset:
    """Whether flat parts of `frames (f, 3, h, w)` have clearly more grain than those of the photo; values of 0..1.

    Needs no flow, as it compares no pixels. The finest band is ignored because aliasing flickers there.
    """
    more = torch.stack([calm(frame) for frame in frames]) - calm(photo)
    return "grainy" if more.clamp(min=0).sqrt().mean() > GRAINY_FROM else "clean"


def grain(rest: Tensor, seen: Tensor) -> Tensor:
    """Standard deviation `(4,)` of a frame's grain in each band, measured in its calmest parts.

    `rest (3, h, w)` is what the warped photo does not explain; `seen (h, w)` is 1 where the flow points into the photo.
    """
    visible = seen > 0.9
    if visible.sum() < 100:
        visible = torch.ones_like(visible)
    energies = energy(bands(rest), 3 * rest.shape[-1] / 192)[:, visible]
    return WHOLE * energies.quantile(CALMER_SHARE, dim=-1).sqrt()


def denoise(picture: Tensor, level: Tensor) -> Tensor:
    """Remove grain of this standard deviation from `picture (3, h, w)`, keeping edges: a self-guided filter."""
    scale = picture.shape[-1] / 192
    mean = blur(picture, 2 * scale)
    variance = energy(picture - mean, 2 * scale)
    power = 4 * level**2
    keep = blur((variance - power).clamp(min=0) / (variance + 1e-3), scale)
    return mean + (picture - mean) * torch.where(power > 0, keep, torch.ones_like(keep))
