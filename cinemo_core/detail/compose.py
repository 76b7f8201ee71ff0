"""One frame at the video's size: the generated frame, enlarged, with the photo's detail as far as it is trusted."""

from torch import Tensor

from cinemo_core.detail.analyse import Frame
from cinemo_core.detail.precision import full_precision
from cinemo_core.detail.warp import resize, resize_flow, warp


@full_precision
def compose(photo: Tensor, frame: Frame) -> Tensor:
    """`(3, H, W)` 0..1 from the full photo `(3, H, W)`.

    What the frame shows at the model's size stays; the photo adds what is finer, octave by octave.
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
    # The gain is part of either band's weight, so that detail gets darker as its surroundings do.
    octave = (half - resize(plain, half_height, half_width)) * resize(
        frame.gain * trust[1:2], half_height, half_width, "bilinear"
    )
    finer = (warped - resize(half, height, width)) * resize(frame.gain * trust[2:], height, width, "bilinear")
    return (resize(resize(base, half_height, half_width) + octave, height, width) + finer).clamp(0, 1)
