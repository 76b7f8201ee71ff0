"""More frames in time: flows that go on smoothly, light and trust that change evenly."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cinemo_core.detail.analyse import Analysis, Frame
from cinemo_core.detail.warp import inside


def between(photo: Tensor, analysis: Analysis, factor: int) -> Iterator[Frame]:
    """Each frame of `analysis`, with `factor - 1` new ones before it; the first of them follow the photo `(3, h, w)`.

    The flow follows a Catmull-Rom spline, so that nothing jerks at the generated frames.
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
    """The value at `share` of the way from the second of four points `(4, ...)` to the third."""
    first, second, third, fourth = points
    return second + share / 2 * (
        third
        - first
        + share * (2 * first - 5 * second + 4 * third - fourth)
        + share**2 * (3 * second - first - 3 * third + fourth)
    )


def mix(before: Frame, after: Frame, flow: Tensor, share: float) -> Frame:
    """The frame at `share` of the way between two, moved by `flow`."""
    return Frame(
        flow,
        torch.lerp(before.gain, after.gain, share),
        torch.lerp(before.offset, after.offset, share),
        torch.lerp(before.trust, after.trust, share),
        # Where both neighbours go on beyond the photo's border, as frames that follow a given flow do, this one does.
        torch.maximum(inside(flow), torch.minimum(before.inside, after.inside)),
        torch.lerp(before.generated, after.generated, share),
    )
