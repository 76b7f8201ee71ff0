"""How close a picture is to the ground truth, compared with the enlarged output of the model."""

from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from cinemo_core.detail import analyse, compose, estimate
from cinemo_core.detail.blur import blur
from cinemo_core.detail.warp import resize
from cinemo_core.media import LUMINANCE
from tests.quality.scenes import Scene

MEASURED = (1, 5, 10, 15)


@dataclass(frozen=True)
class Score:
    """Of a scene: means over the measured frames; PSNR in dB, SSIM of the luminance."""

    name: str
    enlarged_psnr: float
    psnr: float
    ssim: float

    @property
    def gain(self) -> float:
        return self.psnr - self.enlarged_psnr


def psnr(one: Tensor, other: Tensor) -> float:
    return -10 * float(((one - other) ** 2).mean().clamp(min=1e-9).log10())


def ssim(one: Tensor, other: Tensor) -> float:
    """Structural similarity of `(3, h, w)` by Gaussian windows (Wang et al. 2004)."""
    x, y = (torch.einsum("chw,c->hw", picture, torch.from_numpy(LUMINANCE)) for picture in (one, other))
    mean_x, mean_y = blur(x, 1.5), blur(y, 1.5)
    var_x, var_y = blur(x * x, 1.5) - mean_x**2, blur(y * y, 1.5) - mean_y**2
    cov = blur(x * y, 1.5) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
    return float((luminance * (2 * cov + 9e-4) / (var_x + var_y + 9e-4)).mean())


def enlarge(small: Tensor, truth: Tensor) -> Tensor:
    return resize(small, *truth.shape[-2:]).clamp(0, 1)


def sharpen(scene: Scene) -> Score:
    """Transfer the first true frame's detail to the scene's small frames, and score the others."""
    photo, small = scene.truth[0], scene.small
    analysis = analyse(photo, small[1:], estimate(small[0], small[1:]))
    made = [compose(photo, analysis[frame - 1]) for frame in MEASURED]
    return Score(
        scene.name,
        fmean(psnr(enlarge(small[frame], photo), scene.truth[frame]) for frame in MEASURED),
        fmean(psnr(picture, scene.truth[frame]) for picture, frame in zip(made, MEASURED, strict=True)),
        fmean(ssim(picture, scene.truth[frame]) for picture, frame in zip(made, MEASURED, strict=True)),
    )
