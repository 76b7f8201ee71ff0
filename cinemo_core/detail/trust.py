"""How far the photo can be trusted for what is finer than the model's pixels.

Trust is earned: where the warped photo agrees with the frame in the finest detail that both have, its finer detail can
be expected to fit, the less so the finer it is. Elsewhere the frame stays as it was generated.
"""

import torch
from torch import Tensor

from cinemo_core.detail.noise import bands, energy

# Windows in pixels, by band: over as little as a band allows, so that trust ends where a thing ends.
WINDOWS = (1.5, 2.5, 4.0, 8.0)
# An error of the flow that costs some agreement at one frequency costs more at its double.
OCTAVE, FINER = 3, 6


def agreement(frame: Tensor, lit: Tensor, grain: Tensor) -> Tensor:
    """Agreement 0..1 `(4, h, w)` by band of `frame` and the lit, warped photo, `(3, h, w)` in eight-bit steps.

    It is the structural term of SSIM, `2 cov / (var + var)`, freed of what grain `(4,)` takes from it.
    """
    agreements = []
    for one, other, window, noise in zip(bands(frame), bands(lit), WINDOWS, grain, strict=True):
        both = energy(one, window) + energy(other, window)
        noise = noise**2
        floor = 1 + 4 * noise
        agreements.append((both - energy(one - other, window) + floor) / (both - noise + floor))
    return torch.stack(agreements).clamp(0, 1)


def trust(frame: Tensor, lit: Tensor, grain: Tensor) -> Tensor:
    """Trust 0..1 `(3, h, w)`: at the model's own size, in the octave above, and in all that is finer.

    Under grain the finest band says little, and coarser ones are asked too.
    """
    finest, _, middle, coarse = agreement(frame, lit, grain)
    large = middle * coarse
    known = torch.where(grain.sum() > 0, large**2, torch.ones_like(large))
    return torch.stack((large**2, known * finest**OCTAVE, known * finest**FINER))
