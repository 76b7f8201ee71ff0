"""What a video is like beside what happens in it: its size, its frame rate, and the size that the model works at.

Numbers alone: neither pictures nor tensors, so that the service can ask, too.
"""

import math
from itertools import product
from typing import Literal, NamedTuple

Detail = Literal["photo", "off"]
Size = tuple[int, int]
"""Width and height in pixels."""

USUAL_BOX: Size = (1280, 720)
"""What a video fits into that is given no size, upright for an upright photo."""
LEAST_SIDE, MOST_SIDE = 16, 2048
LONGEST_SHAPE = 4
"""The longer side by the shorter one, where the photo alone decides."""
MODEL_MULTIPLE, VIDEO_MULTIPLE = 8, 2
LEAST_PADDED_SIDE = 8
"""Pixels of a photo between bars; of one with less, nothing would be seen but bars."""
USUAL_FPS = 8
USUAL_FACTOR = 3
MOST_USUAL_FPS = 60
LEAST_FPS, MOST_FPS = 1, 100


class Sizes(NamedTuple):
    """Of a video, and of the frames that the model makes for it; without the photo's detail they are the same."""

    video: Size
    model: Size


def video_size(
    photo: Size, width: int | None = None, height: int | None = None, *, least: float = 0, most: float = math.inf
) -> Size:
    """The size of a video of a photo, its sides even.

    A side that is not given follows the photo's shape. Where neither is, the video is the largest of that shape within
    1280x720, or 720x1280 for an upright photo, yet no larger than the photo itself.

    Args:
        photo: its size, upright.
        width: as asked for.
        height: likewise.
        least: pixels that the video has in any case where it is given neither side, however small the photo.
        most: pixels that it then has at most.
    """
    shape = min(max(photo[0] / photo[1], 1 / LONGEST_SHAPE), LONGEST_SHAPE)
    if width is not None and height is not None:
        return width, height
    if width is not None:
        return width, even(width / shape)
    if height is not None:
        return even(height * shape), height
    wide, tall = USUAL_BOX if shape >= 1 else USUAL_BOX[::-1]
    usual = min(wide, tall * shape, photo[0], photo[1] * shape)
    usual = min(max(usual, math.sqrt(least * shape)), math.sqrt(most * shape))
    return even(usual), even(usual / shape)


def model_size(video: Size, pixels: int) -> Size:
    """The size at which a model that wants so many pixels works at a video: its shape, in multiples of 8."""
    shape = video[0] / video[1]

    def misfit(size: Size) -> float:
        wide, tall = size
        # What is stretched is seen, what is a little larger is not.
        return 2 * abs(math.log(wide / tall / shape)) + abs(math.log(wide * tall / pixels))

    return min(product(near(math.sqrt(pixels * shape)), near(math.sqrt(pixels / shape))), key=misfit)


def near(side: float) -> tuple[int, int]:
    """The multiples of 8 around a side."""
    below = max(LEAST_SIDE, int(side) // MODEL_MULTIPLE * MODEL_MULTIPLE)
    return below, below + MODEL_MULTIPLE


def even(side: float) -> int:
    """The even number at or below a side, but not too few pixels for a video."""
    # Sides that are whole come out of roots a little below.
    return max(LEAST_SIDE, int(side + 1e-6) // VIDEO_MULTIPLE * VIDEO_MULTIPLE)


def usual_factor(detail: Detail, fps: float = USUAL_FPS) -> int:
    """How many times the model's frames a video has that is not told: three, where that stays within 60 a second."""
    return 1 if detail == "off" else max(1, min(USUAL_FACTOR, int(MOST_USUAL_FPS // fps)))


def usual_edit_factor(detail: Detail, interval: int) -> int:
    """Likewise of an edit at its source's rate: as many as are left out between two that are taken, three at most."""
    return 1 if detail == "off" else min(USUAL_FACTOR, interval)


def source_fps(rate: float, interval: int, factor: int) -> float:
    """Frames a second at which every `interval`-th of a source plays as fast as it did, `factor` made of each.

    A source that does not tell its rate, 0, plays as a clip does otherwise; no video has fewer than 1 or more than 100.
    """
    return min(max(rate / interval * factor, LEAST_FPS), MOST_FPS) if rate else USUAL_FPS * factor


def vanishes(photo: Size, video: Size) -> bool:
    """Whether a photo that is brought into a video between bars is next to nothing there, as it is far too long."""
    scale = min(video[0] / photo[0], video[1] / photo[1])
    return min(photo) * scale < LEAST_PADDED_SIDE
