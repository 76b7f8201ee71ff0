"""Frame interpolation: flow follows a spline, light and trust change linearly."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cinemo_core.detail.analyse import Analysis, Frame
from cinemo_core.detail.warp import inside


def interpolate(photo: Tensor, analysis: Analysis, factor: int) -> Iterator[Frame]:
    """Yield each frame of `analysis`, preceded by `factor - 1` new ones; the clip starts from the photo `(3, h, w)`.

    The flow follows a Catmull-Rom spline, so that motion does not jerk at the generated frames.
    """
    still = Frame(
        torch.zeros_like(analysis.flow[0]),
        torch.ones_like(analysis.gain[0]),
        torch.zeros_like(analysis.offset[0]),
        torch.ones_like(analysis.trust[0]),
        torch.ones_like(analysis.inside[0]),
        photo,
    )
    flow = torch.cat((-analysis.flow[:1], still.flow[None], analysis.flow))
    flow = torch.cat((flow, 2 * flow[-1:] - flow[-2:-1]))
    before = still
    for index, after in enumerate(analysis):
        for part in range(1, factor):
            yield mix(before, after, catmull_rom(flow[index : index + 4], part / factor), part / factor)
        yield after
        before = after


def catmull_rom(points: Tensor, share: float) -> Tensor:
    """Interpolate between the second and the third of four points `(4, ...)`; `share` is 0..1."""
    first, second, third, fourth = points
    return second + share / 2 * (
        third
        - first
        + share * (2 * first - 5 * second + 4 * third - fourth)
        + share**2 * (3 * second - first - 3 * third + fourth)
    )


def mix(before: Frame, after: Frame, flow: Tensor, share: float) -> Frame:
    """The frame at `share`, 0..1, of the way between two, with `flow` as its motion."""
    return Frame(
        flow,
        torch.lerp(before.gain, after.gain, share),
        torch.lerp(before.offset, after.offset, share),
        torch.lerp(before.trust, after.trust, share),
        # If both neighbours continue beyond the photo's border, as frames with a given flow do, so does this one.
        torch.maximum(inside(flow), torch.minimum(before.inside, after.inside)),
        torch.lerp(before.generated, after.generated, share),
    )
