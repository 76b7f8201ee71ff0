"""Change of light and colour between the photo and a frame, apart from motion."""

from torch import Tensor

from cinemo_core.detail.blur import blur

# Blur that separates light from content, in pixels of a picture 192 wide.
SPREAD = 18.0
STEADY = 2.0
MIN_GAIN, MAX_GAIN = 0.3, 2.2


def light_gain(frame: Tensor, warped: Tensor, weight: Tensor, scale: float) -> Tensor:
    """Factor `(3, h, w)` that gives the warped photo the frame's light.

    Both pictures are `(3, h, w)` with values of 0..255; `weight (h, w)` is high where the flow points into the photo;
    `scale` is the width divided by 192.
    """
    sigma = SPREAD * scale
    reach = blur(weight, sigma)
    lit, plain = blur(frame * weight, sigma), blur(warped * weight, sigma)
    return ((lit + STEADY * reach) / (plain + STEADY * reach)).clamp(MIN_GAIN, MAX_GAIN)
