"""Turns a photo and a small generated clip into a video as sharp as the photo, frame by frame."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cinemo_core.detail.analyse import analyse
from cinemo_core.detail.compose import compose
from cinemo_core.detail.estimate import estimate
from cinemo_core.detail.given_flow import analyse_given_flow
from cinemo_core.detail.interpolate import interpolate


@torch.no_grad()
def transfer(
    photo: NDArray[np.uint8],
    frames: NDArray[np.uint8],
    *,
    flow: Tensor | None = None,
    frame_rate_factor: int = 1,
    device: str | torch.device = "cpu",
) -> Iterator[NDArray[np.uint8]]:
    """Yield frames `(H, W, 3)`: the photo, then `frame_rate_factor` frames for each further generated frame.

    Args:
        photo: at the size of the video, `(H, W, 3)`.
        frames: generated, `(f + 1, h, w, 3)`, in the photo's shape; the first is the photo at the model's size.
        flow: backward flow of all frames but the first to the photo, `(f, 2, h, w)` in their pixels, if the model
            supplies it; the frames then provide only light and colour. Estimated if not given.
    """
    yield photo
    if len(frames) == 1:
        return
    full, small = pictures(photo[None], device)[0], pictures(frames, device)
    if flow is None:
        analysis = analyse(full, small[1:], estimate(small[0], small[1:]))
    else:
        analysis = analyse_given_flow(small[0], small[1:], flow.to(device, torch.float32))
    for frame in interpolate(small[0], analysis, frame_rate_factor):
        yield (compose(full, frame) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def pictures(frames: NDArray[np.uint8], device: str | torch.device) -> Tensor:
    """Frames `(f, h, w, 3)` as `(f, 3, h, w)` 0..1."""
    return torch.from_numpy(np.array(frames)).to(device).permute(0, 3, 1, 2).float() / 255
