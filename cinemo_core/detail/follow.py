"""Frames whose motion the model itself tells: the flow is given, and the frames say light and colour alone."""

import torch
from torch import Tensor

from cinemo_core.detail.analyse import Analysis
from cinemo_core.detail.blur import blur
from cinemo_core.detail.light import light_gain
from cinemo_core.detail.precision import full_precision
from cinemo_core.detail.steady import steady_light
from cinemo_core.detail.warp import inside, warp

NEAR, FAR = 1.5, 6.0
"""How soft the picture is just beyond the photo's border, and further out; in pixels of a picture 192 wide."""

FADE = 24.0
"""Over how many such pixels around the border it becomes so."""


@full_precision
def follow(photo: Tensor, thumbnails: Tensor, flow: Tensor) -> Analysis:
    """`photo (3, h, w)`, `thumbnails (f, 3, h, w)` without detail, `flow (f, 2, h, w)`.

    Where the flow leaves the photo, the photo goes on mirrored under the light of what is near, ever softer: its
    colours fit, and nobody takes it for a second face.
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
    """A frame `(3, h, w)` of the photo and, beyond its border, of what may be there."""
    mirrored = warp(photo, flow, border="reflection")
    near, far = (blur(mirrored, sigma * scale) for sigma in (NEAR, FAR))
    return torch.lerp(far, near, (2 * inside(flow, FADE * scale)).clamp(0, 1))
