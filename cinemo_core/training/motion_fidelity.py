"""Compares pans and zooms with the photo under the nearest pure pan or zoom."""

import math
import statistics
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import Tensor

from cinemo_core.detail import estimate
from cinemo_core.detail.steady import UNIT_AREA
from cinemo_core.detail.transfer import pictures
from cinemo_core.detail.warp import inside, pixels, resize_flow, warp
from cinemo_core.film import Film
from cinemo_core.media import LUMINANCE, Frames
from cinemo_core.motion import motion_score
from cinemo_core.pipeline import CinemoPipeline

LATE_SIZE = (768, 512)
LATE_FROM = 8
SIDEWAYS, UPWARD = (1, 0), (0, 1)
PURE = {
    "pan left": SIDEWAYS,
    "pan right": SIDEWAYS,
    "pan up": UPWARD,
    "pan down": UPWARD,
    "zoom in": None,
    "zoom out": None,
}
"""Axis along which the content moves; None for a zoom about the centre."""


def late_ssim_by_prompt(pipe: CinemoPipeline, photos: Iterable[Image.Image]) -> dict[str, float]:
    """Mean SSIM, by prompt, of late frames at 768x512 with the photo under the nearest pure pan or zoom."""
    width, height = LATE_SIZE
    found: dict[str, list[float]] = {prompt: [] for prompt in PURE}
    for photo in photos:
        for prompt, values in found.items():
            film = pipe.film(photo, prompt, seed=0, width=width, height=height, frame_rate_factor=1)
            assert film.photo is not None
            values.append(late_ssim(film.frames(), film.photo, flow_of(film), PURE[prompt], LATE_FROM))
    return {prompt: statistics.fmean(each) for prompt, each in found.items()}


def late_ssim(frames: Frames, photo: Frames, flow: Tensor, axis: tuple[int, int] | None, first: int) -> float:
    """Mean SSIM of frames `(f, h, w, 3)` from `first` on with the photo `(h, w, 3)` under the nearest pure motion.

    `flow (f - 1, 2, ...)` leads back to the photo; `axis` as in `PURE`.
    """
    height, width, _ = photo.shape
    full = pictures(photo[None], "cpu")[0]
    values = []
    for number in range(first, len(frames)):
        back = resize_flow(nearest(flow[number - 1], axis), height, width)
        values.append(masked_ssim(frames[number], warp(full, back), inside(back)))
    return statistics.fmean(values)


def flow_length(flow: Tensor) -> float:
    """Mean length of flow `(f, 2, h, w)` in pixels of a picture of 192x128."""
    unit = math.sqrt(flow.shape[-2] * flow.shape[-1] / UNIT_AREA)
    return float(flow.norm(dim=1).mean()) / unit


def intensity_correlation(pipe: CinemoPipeline, photo: Image.Image, prompt: str, intensities: Sequence[int]) -> float:
    """Spearman correlation of the requested intensities with the measured motion, 1 minus the mean SSIM.

    0 if the motion is the same at all of them.
    """
    motion = [1 - motion_score(pipe(photo, prompt, motion_intensity=each, detail="off")) for each in intensities]
    return float(spearmanr(intensities, motion).statistic) if len(set(motion)) > 1 else 0.0


def flow_of(film: Film) -> Tensor:
    """The flow of a film's frames back to its photo, estimated if the model does not supply it."""
    if film.flow is not None:
        return film.flow
    small = pictures(film.made, "cpu")
    return estimate(small[0], small[1:])


def nearest(flow: Tensor, axis: tuple[int, int] | None) -> Tensor:
    """The pan along an axis, or the zoom about the centre, nearest to a flow `(2, h, w)`."""
    height, width = flow.shape[-2:]
    if axis:
        along = flow.new_tensor(axis)[:, None, None]
        return (flow * along).sum(0).mean() * along.expand_as(flow)
    out = pixels(height, width, flow.device) - flow.new_tensor([(width - 1) / 2, (height - 1) / 2])[:, None, None]
    return out * (flow * out).sum() / (out * out).sum()


def masked_ssim(frame: Frames, ideal: Tensor, visible: Tensor) -> float:
    """SSIM in luminance of a frame `(h, w, 3)` and a picture `(3, h, w)` 0..1, averaged where `visible (h, w)` is 1."""
    one = frame.astype(np.float32) @ LUMINANCE
    other = (ideal.permute(1, 2, 0).numpy() * 255).round().clip(0, 255).astype(np.float32) @ LUMINANCE
    _, each = structural_similarity(one, other, data_range=255.0, full=True)
    seen = visible.numpy() > 0.99
    mean = float(each[seen].mean())
    return mean if math.isfinite(mean) else 0.0
