"""How grainy generated frames are, and how to free them of it."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from cinemo_core.detail.blur import blur

# Limits of the bands in which grain is measured, as blurs in pixels: from the finest to the coarsest.
LIMITS = (0.0, 1.0, 2.0, 4.0, 8.0)
CALM_SHARE = 0.25
CALMER_SHARE = 0.15
# What the calmest part of a rest says of the whole: the grain of learned codecs is stronger where a picture has detail.
WHOLE = 1.3
GRAINY_FROM = 2.5 / 255

Preset = Literal["clean", "grainy"]


def bands(picture: Tensor) -> Tensor:
    """`picture (..., h, w)` in the bands between `LIMITS`, finest first: `(4, ..., h, w)`."""
    levels = [blur(picture, limit) for limit in LIMITS]
    return torch.stack([finer - coarser for finer, coarser in pairwise(levels)])


def energy(picture: Tensor, window: float) -> Tensor:
    """Mean square of `picture (..., 3, h, w)` around each pixel, `(..., h, w)`."""
    return blur((picture**2).mean(-3), window)


def calm(picture: Tensor) -> Tensor:
    """The energy of the second band in the flat quarter of `picture (3, h, w)`."""
    band = blur(picture, LIMITS[1]) - blur(picture, LIMITS[2])
    return energy(band, 3 * picture.shape[-1] / 192)[::2, ::2].quantile(CALM_SHARE)


def judge(photo: Tensor, frames: Tensor) -> Preset:
    """Whether the flat parts of `frames (f, 3, h, w)` have clearly more grain than the photo's, values of 0..1.

    Needs no flow, since it compares no pixels. The finest band is left out: aliasing flickers there.
    """
    more = torch.stack([calm(frame) for frame in frames]) - calm(photo)
    return "grainy" if more.clamp(min=0).sqrt().mean() > GRAINY_FROM else "clean"


def grain(rest: Tensor, seen: Tensor) -> Tensor:
    """Standard deviation `(4,)` by band of the grain of a frame, from its calmest parts, which it has everywhere.

    `rest (3, h, w)` is what the warped photo does not explain; `seen (h, w)` where the flow points into the photo.
    """
    visible = seen > 0.9
    if visible.sum() < 100:
        visible = torch.ones_like(visible)
    energies = energy(bands(rest), 3 * rest.shape[-1] / 192)[:, visible]
    return WHOLE * energies.quantile(CALMER_SHARE, dim=-1).sqrt()


def denoise(picture: Tensor, level: Tensor) -> Tensor:
    """A frame `(3, h, w)` without grain of this standard deviation, but with its edges: a guided filter by itself."""
    scale = picture.shape[-1] / 192
    mean = blur(picture, 2 * scale)
    variance = energy(picture - mean, 2 * scale)
    power = 4 * level**2
    keep = blur((variance - power).clamp(min=0) / (variance + 1e-3), scale)
    return mean + (picture - mean) * torch.where(power > 0, keep, torch.ones_like(keep))
