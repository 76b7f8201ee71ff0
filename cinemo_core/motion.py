"""The motion score of a clip: the mean SSIM of its consecutive frames.

Source: arXiv 2407.15642, section 3.3.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from cinemo_core.media import LUMINANCE


def motion_score(frames: NDArray[np.uint8]) -> float:
    """Mean SSIM of consecutive frames `(f, h, w, 3)` in luminance (BT.601): 1 is still, lower is more motion."""
    luminance = frames.astype(np.float32) @ LUMINANCE
    return float(np.mean([structural_similarity(one, next_, data_range=255.0) for one, next_ in pairwise(luminance)]))
