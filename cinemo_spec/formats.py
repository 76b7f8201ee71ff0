"""Size and frame rate of a video, and the size at which the model works.

Pure arithmetic without pictures or tensors, so that the service can use it, too.
"""

import math
from itertools import product
from typing import Literal, NamedTuple

Detail = Literal["photo", "off"]
Size = tuple[int, int]
"""Width and height in pixels."""

DEFAULT_BOX: Size = (1280, 720)
"""Maximum size of a video if none is requested; swapped for portrait photos."""
MIN_SIDE, MAX_SIDE = 16, 2048
LONGEST_SHAPE = 4
"""Largest aspect ratio of a video whose size follows from the photo."""
MODEL_MULTIPLE, VIDEO_MULTIPLE = 8, 2
MIN_PADDED_SIDE = 8
"""Smallest side in pixels of a photo between bars; below that, only the bars would be visible."""
DEFAULT_FPS = 8
DEFAULT_FACTOR = 3
MAX_DEFAULT_FPS = 60
MIN_FPS, MAX_FPS = 1, 100


class Sizes(NamedTuple):
    """Size of a video, and of the model's frames for it; equal with `detail` `off`."""

    video: Size
    model: Size


def video_size(
    photo: Size,
    width: int | None = None,
    height: int | None = None,
    *,
    min_pixels: float = 0,
    max_pixels: float = math.inf,
) -> Size:
    """The size of a photo's video; its sides are even.

    A side that is not given follows from the photo's aspect ratio. If neither is given, the video is as large as the
    photo, but at most 1280x720, or 720x1280 for portrait photos.

    Args:
        photo: its size after rotation.
        width: the requested width, if any.
        height: the requested height, if any.
        min_pixels: minimum number of pixels if neither side is given, however small the photo.
        max_pixels: maximum number of pixels if neither side is given.
    """
    shape = min(max(photo[0] / photo[1], 1 / LONGEST_SHAPE), LONGEST_SHAPE)
    if width is not None and height is not None:
        return width, height
    if width is not None:
        return width, even(width / shape)
    if height is not None:
        return even(height * shape), height
    wide, tall = DEFAULT_BOX if shape >= 1 else DEFAULT_BOX[::-1]
    default = min(wide, tall * shape, photo[0], photo[1] * shape)
    default = min(max(default, math.sqrt(min_pixels * shape)), math.sqrt(max_pixels * shape))
    return even(default), even(default / shape)


def model_size(video: Size, pixels: int) -> Size:
    """The size at which a model works: about that many pixels in the video's aspect ratio, in multiples of 8."""
    shape = video[0] / video[1]

    def misfit(size: Size) -> float:
        wide, tall = size
        # A change of aspect ratio is visible, a slight change of size is not.
        return 2 * abs(math.log(wide / tall / shape)) + abs(math.log(wide * tall / pixels))

    return min(product(near(math.sqrt(pixels * shape)), near(math.sqrt(pixels / shape))), key=misfit)


def near(side: float) -> tuple[int, int]:
    """The multiples of 8 below and above a side."""
    below = max(MIN_SIDE, int(side) // MODEL_MULTIPLE * MODEL_MULTIPLE)
    return below, below + MODEL_MULTIPLE


def even(side: float) -> int:
    """The even number at or below a side, but at least the smallest side of a video."""
    # Rounding makes the root of a whole number a little too small.
    return max(MIN_SIDE, int(side + 1e-6) // VIDEO_MULTIPLE * VIDEO_MULTIPLE)


def default_factor(detail: Detail, fps: float = DEFAULT_FPS) -> int:
    """Default number of video frames per model frame: 3 if that is within 60 frames per second."""
    return 1 if detail == "off" else max(1, min(DEFAULT_FACTOR, int(MAX_DEFAULT_FPS // fps)))


def default_edit_factor(detail: Detail, interval: int) -> int:
    """Default for an edit at its source's frame rate: as many as the source has per used frame, at most 3."""
    return 1 if detail == "off" else min(DEFAULT_FACTOR, interval)


def source_fps(rate: float, interval: int, factor: int) -> float:
    """Frames per second, 1 to 100, at which an edit moves as fast as its source.

    The edit has `factor` frames for every `interval` frames of the source. An unknown rate, 0, gives the default.
    """
    return min(max(rate / interval * factor, MIN_FPS), MAX_FPS) if rate else DEFAULT_FPS * factor


def vanishes(photo: Size, video: Size) -> bool:
    """Whether a photo is so elongated that between bars, almost nothing of it would be visible."""
    scale = min(video[0] / photo[0], video[1] / photo[1])
    return min(photo) * scale < MIN_PADDED_SIDE
