"""One frame at the video's size: the generation's picture, enlarged, with the photo's detail where the photo has it."""

from torch import Tensor

from cinemo_core.detail.analyse import Frame
from cinemo_core.detail.warp import enlarge, resize_flow, shrink, warp


def compose(photo: Tensor, frame: Frame) -> Tensor:
    """`(3, H, W)` 0..1 from the full photo `(3, H, W)`."""
    size = photo.shape[-2:]
    low = frame.flow.shape[-2:]
    warped = warp(photo, resize_flow(frame.flow, *size), border="reflection")
    plain = shrink(warped, *low)
    trust = frame.trust * frame.inside
    base = trust[:1] * (plain * frame.gain + frame.offset) + (1 - trust[:1]) * frame.generated
    finer = (warped - enlarge(plain, *size)) * enlarge(frame.gain * trust[1:2], *size)
    return (enlarge(base, *size) + finer).clamp(0, 1)
