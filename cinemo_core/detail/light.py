"""How light and colour changed between the photo and a frame, apart from what moved."""

from torch import Tensor

from cinemo_core.detail.blur import blur

# Width of what counts as light and not as content, in pixels of a picture 192 wide.
SPREAD = 18.0
STEADY = 2.0
LEAST, MOST = 0.3, 2.2


def light_gain(frame: Tensor, warped: Tensor, weight: Tensor, scale: float) -> Tensor:
    """Factor `(3, h, w)` by which the warped photo gets the frame's light; in eight-bit steps.

    Both pictures are `(3, h, w)`; `weight (h, w)` says where the warped photo shows what the photo has; `scale` is the
    width in 192 pixels.
    """
    sigma = SPREAD * scale
    reach = blur(weight, sigma)
    lit, plain = blur(frame * weight, sigma), blur(warped * weight, sigma)
    return ((lit + STEADY * reach) / (plain + STEADY * reach)).clamp(LEAST, MOST)
