"""Analyses frames whose flow the model supplies: the frames themselves provide only light and colour."""

import torch
from torch import Tensor

from cinemo_core.detail.analyse import Analysis
from cinemo_core.detail.blur import blur
from cinemo_core.detail.light import light_gain
from cinemo_core.detail.precision import full_precision
from cinemo_core.detail.steady import steady_light
from cinemo_core.detail.warp import inside, warp

NEAR, FAR = 1.5, 6.0
"""Blur just beyond the photo's border, and further out; in pixels of a picture 192 wide."""

FADE = 24.0
"""Width of the transition around the border, in the same pixels."""


@full_precision
def analyse_given_flow(photo: Tensor, thumbnails: Tensor, flow: Tensor) -> Analysis:
    """Analyse `thumbnails (f, 3, h, w)` without detail against `photo (3, h, w)`, given `flow (f, 2, h, w)`.

    Where the flow leaves the photo, the photo continues mirrored, lit like its surroundings and increasingly blurred:
    the colours fit, but a mirrored face is not recognizable.
    """
    scale = photo.shape[-1] / 192
    gains = [
        light_gain(thumbnail, warp(photo * 255, back), inside(back) + 1e-3, scale)
        for thumbnail, back in zip(thumbnails * 255, flow, strict=True)
    ]
    gain = steady_light(torch.stack(gains))
    within = torch.stack([inside(back) for back in flow])
    beyond = torch.stack([continued(photo, back, scale) for back in flow]) * gain
    return Analysis(
        flow,
        gain,
        torch.zeros_like(gain),
        within[:, None].expand(-1, 3, -1, -1),
        torch.ones_like(within),
        beyond.clamp(0, 1),
        torch.zeros_like(within[:, 0, 0]),
    )


def continued(photo: Tensor, flow: Tensor, scale: float) -> Tensor:
    """The warped photo `(3, h, w)`, extended beyond its border by a blurred mirror image."""
    mirrored = warp(photo, flow, border="reflection")
    near, far = (blur(mirrored, sigma * scale) for sigma in (NEAR, FAR))
    return torch.lerp(far, near, (2 * inside(flow, FADE * scale)).clamp(0, 1))
