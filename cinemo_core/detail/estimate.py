"""Estimates optical flow from each generated frame to the photo: coarse-to-fine Lucas-Kanade, chained over the frames.

It warps the clean photo towards each frame, never one generated frame towards another, so errors and grain do not add
up. Each step is split into a robust affine part, the camera's motion, and a smooth residual weighted by confidence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cinemo_core.detail.blur import blur, slopes
from cinemo_core.detail.light import light_gain
from cinemo_core.detail.noise import Preset, judge
from cinemo_core.detail.precision import full_precision
from cinemo_core.detail.warp import pixels, resize, resize_flow, warp

COARSEST = 48
STEPS = (4, 4, 3)
LONGEST_STEP = 2.5


@dataclass(frozen=True)
class Tuning:
    """Parameters of a preset; widths are in pixels unless stated otherwise.

    Attributes:
        blur: of both pictures before they are compared.
        window: within which motion is assumed to be uniform.
        smooth: of the residual's smoothing.
        prior: how strongly the residual is drawn to the affine part where the picture has no texture.
        steady: of a blur over time against jitter, in frames; it would also flatten a shaking camera's path.
    """

    blur: float
    window: float
    smooth: float
    prior: float
    steady: float


TUNINGS: dict[Preset, Tuning] = {
    "clean": Tuning(blur=0, window=2, smooth=2, prior=0.05, steady=0),
    "grainy": Tuning(blur=1.2, window=5, smooth=5, prior=0.1, steady=0.8),
}


@full_precision
def estimate(photo: Tensor, frames: Tensor, preset: Preset | None = None) -> Tensor:
    """Backward flow `(f, 2, h, w)`, in pixels, of each frame to the photo.

    `photo (3, h, w)` and `frames (f, 3, h, w)`, the clip without its first frame, have the same size and values of
    0..1. Without a preset, the frames' grain decides.
    """
    tuning = TUNINGS[preset or judge(photo, frames)]
    photo, frames = photo * 255, frames * 255
    height, width = photo.shape[-2:]
    sizes = pyramid(height, width)
    source = [prepare(photo, size, tuning) for size in sizes]
    flow = photo.new_zeros(2, height, width)
    flows = []
    for frame in frames:
        for level, size in enumerate(sizes):
            flow = resize_flow(flow, *size)
            target = prepare(frame, size, tuning)
            for _ in range(STEPS[min(level, len(STEPS) - 1)]):
                flow = step(source[level], target, flow, tuning, width / 192 * size[1] / width)
        flow = resize_flow(flow, height, width)
        flows.append(flow)
    return smooth_in_time(torch.stack(flows), tuning.steady)


def pyramid(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes `(height, width)`, from the coarsest to the picture's own."""
    sizes = [(height, width)]
    while max(sizes[0]) >= 2 * COARSEST and min(sizes[0]) >= 16:
        sizes.insert(0, (sizes[0][0] // 2, sizes[0][1] // 2))
    return sizes


def prepare(picture: Tensor, size: tuple[int, int], tuning: Tuning) -> Tensor:
    return blur(resize(picture, *size), tuning.blur)


def step(source: Tensor, target: Tensor, flow: Tensor, tuning: Tuning, scale: float) -> Tensor:
    """One Lucas-Kanade step of `flow (2, h, w)` towards explaining `target` by `source`, both `(3, h, w)`."""
    height, width = flow.shape[-2:]
    place = pixels(height, width, flow.device) + flow
    limit = flow.new_tensor([width - 2, height - 2])[:, None, None]
    seen = ((place > 1) & (place < limit)).all(0).float() + 1e-3
    warped = warp(source, flow, mode="bilinear")
    warped = warped * light_gain(target, warped, seen, scale)
    change = target - warped
    right, down = slopes(warped)
    error = (change**2).mean(0)
    weight = seen / (1 + error / (2 * error[::2, ::2].median() + 9) / 2)
    products = torch.stack((right * right, right * down, down * down, right * change, down * change)).sum(1) * weight
    xx, xy, yy, xt, yt = blur(products, tuning.window)
    damping = 0.02 * (xx + yy).mean() + 1
    xx, yy = xx + damping, yy + damping
    determinant = xx * yy - xy * xy
    move = torch.stack((yy * xt - xy * yt, xx * yt - xy * xt)) / determinant
    move = move * (LONGEST_STEP / ((move**2).sum(0).sqrt() + 1e-6)).clamp(max=1)
    certain = (determinant / (xx + yy) - damping / 2).clamp(min=0)
    certain = certain / (certain + certain.mean() + 1e-6) * seen + 1e-4
    flow = flow + move
    rigid = affine(flow, certain)
    smooth = blur((flow - rigid) * certain, tuning.smooth) / (blur(certain, tuning.smooth) + tuning.prior / 2)
    return rigid + smooth


def affine(flow: Tensor, weight: Tensor, tolerance: float = 2.0) -> Tensor:
    """The affine flow `(2, h, w)` nearest to `flow` by robust least squares."""
    height, width = flow.shape[-2:]
    place = pixels(height, width, flow.device)
    size = flow.new_tensor([width, height])[:, None, None]
    terms = torch.cat((torch.ones_like(place[:1]), 2 * place / size - 1)).double()
    sparse = (slice(None), slice(None, None, max(1, height // 32)), slice(None, None, max(1, height // 32)))
    rows, values = terms[sparse].flatten(1).T, flow.double()[sparse].flatten(1).T
    given = weight.double()[sparse[1:]].flatten()
    trusted = given
    ridge = torch.diag(terms.new_tensor([1e-6, 1e-3, 1e-3]))
    for _ in range(2):
        weighted = rows * trusted[:, None]
        factors = torch.linalg.solve(rows.T @ weighted + ridge * trusted.sum(), weighted.T @ values)
        trusted = given / (1 + ((values - rows @ factors) ** 2).sum(1) / tolerance**2)
    return torch.einsum("khw,kc->chw", terms, factors).float()


def smooth_in_time(flow: Tensor, sigma: float) -> Tensor:
    """Reduce jitter of `flow (f, 2, h, w)`, which is zero at the photo and extrapolated beyond both ends."""
    if sigma == 0:
        return flow
    frames, reach = len(flow), min(3, len(flow) - 1)
    before, after = -flow[:reach].flip(0), 2 * flow[-1:] - flow[frames - 1 - reach : frames - 1].flip(0)
    longer = torch.cat((before, torch.zeros_like(flow[:1]), flow, after))
    offsets = range(-reach, reach + 1)
    weights = [float(torch.exp(torch.tensor(-(offset**2) / 2 / sigma**2))) for offset in offsets]
    parts = [
        longer[reach + 1 + offset : reach + 1 + offset + frames] * weight / sum(weights)
        for offset, weight in zip(offsets, weights, strict=True)
    ]
    return torch.stack(parts).sum(0)
