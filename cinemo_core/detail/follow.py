"""Frames whose motion the model itself tells: the flow is given, and the frames say light and colour alone."""

import torch
from torch import Tensor

from cinemo_core.detail.analyse import Analysis
from cinemo_core.detail.light import light_gain
from cinemo_core.detail.steady import steady_light
from cinemo_core.detail.warp import inside, warp


def follow(photo: Tensor, thumbnails: Tensor, flow: Tensor) -> Analysis:
    """`photo (3, h, w)`, `thumbnails (f, 3, h, w)` without detail, `flow (f, 2, h, w)`.

    Where the flow leaves the photo, the photo goes on mirrored, under the light of what is near.
    """
    scale = photo.shape[-1] / 192
    gains = [
        light_gain(thumbnail, warp(photo * 255, back), inside(back) + 1e-3, scale)
        for thumbnail, back in zip(thumbnails * 255, flow, strict=True)
    ]
    gain, everywhere = steady_light(torch.stack(gains)), torch.ones_like(thumbnails[:, 0])
    return Analysis(
        flow,
        gain,
        torch.zeros_like(gain),
        torch.ones_like(gain),
        everywhere,
        thumbnails,
        torch.zeros_like(everywhere[:, 0, 0]),
    )
