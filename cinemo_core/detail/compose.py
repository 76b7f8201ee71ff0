"""One frame at the video's size: the generated frame, enlarged, with the photo's detail as far as it is trusted."""

from torch import Tensor

from cinemo_core.detail.analyse import Frame
from cinemo_core.detail.warp import resize, resize_flow, warp


def compose(photo: Tensor, frame: Frame) -> Tensor:
    """`(3, H, W)` 0..1 from the full photo `(3, H, W)`.

    What the frame shows at the model's size stays; the photo adds what is finer, octave by octave.
    """
    height, width = photo.shape[-2:]
    low = frame.flow.shape[-2:]
    warped = warp(photo, resize_flow(frame.flow, height, width), border="reflection")
    half = resize(warped, min(height, 2 * low[0]), min(width, 2 * low[1]))
    plain = resize(warped, *low)
    trust = frame.trust * frame.inside
    base = trust[:1] * (plain * frame.gain + frame.offset) + (1 - trust[:1]) * frame.generated
    middle = resize(half, height, width)
    octave = (middle - resize(plain, height, width)) * resize(frame.gain * trust[1:2], height, width, "bilinear")
    finer = (warped - middle) * resize(frame.gain * trust[2:], height, width, "bilinear")
    return (resize(base, height, width) + octave + finer).clamp(0, 1)
