"""Composes a frame at the video's size: the generated frame, upscaled, plus the photo's detail where it is trusted."""

from torch import Tensor

from cinemo_core.detail.analyse import Frame
from cinemo_core.detail.precision import full_precision
from cinemo_core.detail.warp import resize, resize_flow, warp


@full_precision
def compose(photo: Tensor, frame: Frame) -> Tensor:
    """The frame `(3, H, W)` 0..1 in the detail of the full-size photo `(3, H, W)`.

    What the frame shows at the model's size stays; the photo adds finer detail, octave by octave.
    """
    height, width = photo.shape[-2:]
    low = frame.flow.shape[-2:]
    half_height, half_width = min(height, 2 * low[0]), min(width, 2 * low[1])
    flow = resize_flow(resize_flow(frame.flow, half_height, half_width), height, width, "bilinear")
    warped = warp(photo, flow, border="reflection")
    half = resize(warped, half_height, half_width)
    plain = resize(half, *low)
    trust = frame.trust * frame.inside
    base = trust[:1] * (plain * frame.gain + frame.offset) + (1 - trust[:1]) * frame.generated
    # The gain weights both bands, so that detail darkens with its surroundings.
    octave = (half - resize(plain, half_height, half_width)) * resize(
        frame.gain * trust[1:2], half_height, half_width, "bilinear"
    )
    finer = (warped - resize(half, height, width)) * resize(frame.gain * trust[2:], height, width, "bilinear")
    return (resize(resize(base, half_height, half_width) + octave, height, width) + finer).clamp(0, 1)
