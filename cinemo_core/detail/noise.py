"""How grainy generated frames are: what they have more than the photo where the photo is flat."""

from torch import Tensor

from cinemo_core.detail.blur import blur

CALM_SHARE = 0.25


def calm(energy: Tensor) -> Tensor:
    """The quantile of `energy (..., h, w)` below which a picture counts as flat."""
    return energy.flatten(-2).quantile(CALM_SHARE, dim=-1)


def fine_energy(picture: Tensor, scale: float, fine: float, coarse: float) -> Tensor:
    """Local energy `(..., h, w)` of `picture (..., 3, h, w)` between two blurs."""
    band = (blur(picture, fine) if fine else picture) - blur(picture, coarse)
    return blur((band**2).mean(-3), 3 * scale)


def grain(photo: Tensor, frames: Tensor) -> float:
    """Standard deviation of what the frames `(f, 3, h, w)` have more than the photo, in the flat quarter of each.

    Needs no flow, since it never compares pixels; in the pictures' own unit.
    """
    scale = photo.shape[-1] / 192
    more = calm(fine_energy(frames, scale, 0, 2)) - calm(fine_energy(photo, scale, 0, 2))
    return float(more.clamp(min=0).mean().sqrt())
