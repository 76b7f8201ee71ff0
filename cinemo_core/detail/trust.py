"""How far to trust the photo for detail finer than the model's pixels.

Where the warped photo agrees with the frame in the finest detail that both have, its finer detail probably fits, too,
though less so the finer it is. Elsewhere the frame stays as generated.
"""

import torch
from torch import Tensor

from cinemo_core.detail.noise import bands, energy

# Windows in pixels, by band: as small as the band allows, so that trust ends at an object's edge.
WINDOWS = (1.5, 2.5, 4.0, 8.0)
# A flow error that costs some agreement at one frequency costs more at twice that frequency.
OCTAVE, FINER = 3, 6


def agreement(frame: Tensor, lit: Tensor, grain: Tensor) -> Tensor:
    """Agreement 0..1 `(4, h, w)` of `frame` and the lit, warped photo in each band; both `(3, h, w)`, 0..255.

    This is the structural term of SSIM, `2 cov / (var + var)`, corrected for grain `(4,)`.
    """
    agreements = []
    for one, other, window, noise in zip(bands(frame), bands(lit), WINDOWS, grain, strict=True):
        both = energy(one, window) + energy(other, window)
        noise = noise**2
        floor = 1 + 4 * noise
        agreements.append((both - energy(one - other, window) + floor) / (both - noise + floor))
    return torch.stack(agreements).clamp(0, 1)


def trust(frame: Tensor, lit: Tensor, grain: Tensor) -> Tensor:
    """Trust 0..1 `(3, h, w)`: at the model's own size, in the octave above, and in all finer detail.

    With grain the finest band says little, so coarser ones count, too.
    """
    finest, _, middle, coarse = agreement(frame, lit, grain)
    large = middle * coarse
    known = torch.where(grain.sum() > 0, large**2, torch.ones_like(large))
    return torch.stack((large**2, known * finest**OCTAVE, known * finest**FINER))
