"""From a file to its frames `(h, w, 3)` uint8, one after the other. Runs in the process that decodes alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import BinaryIO, cast

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from cinemo_core.errors import InvalidVideo
from cinemo_core.sandbox.opening import HEAD_BYTES, check_pixels, container_of, opened

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Cut:
    """Every `interval`-th frame from `start` on."""

    start: int
    interval: int


@dataclass(frozen=True)
class First:
    """The first `count` of every `interval`-th frame, as they are; all that there are where `count` is None."""

    count: int | None
    interval: int = 1


@dataclass(frozen=True)
class Fitted:
    """`count` frames of a cut, scaled to cover `width x height` and cut to the middle."""

    count: int
    width: int
    height: int


def read_first(file: BinaryIO, wanted: First, max_pixels: int) -> Iterator[Frame | Fraction]:
    """The frames, of which none is decoded that is not needed, then how many there are a second, 0 for not told."""
    container = container_of(head(file))
    needed = None if wanted.count is None else (wanted.count - 1) * wanted.interval + 1
    if container == "webp":
        yield from islice(webp_frames(file, max_pixels), 0, needed, wanted.interval)
        yield webp_rate(file)
        return
    with opened(file, container, max_pixels) as (source, stream):
        for number, frame in enumerate(islice(source.decode(stream), needed)):
            check_pixels(frame.width, frame.height, max_pixels)
            if number % wanted.interval == 0:
                yield cast(Frame, frame.to_ndarray(format="rgb24"))
        yield stream.average_rate or Fraction(0)


def webp_frames(file: BinaryIO, max_pixels: int) -> Iterator[Frame]:
    """FFmpeg reads no animated WebP, Pillow does."""
    with Image.open(file, formats=["WEBP"]) as picture:
        check_pixels(picture.width, picture.height, max_pixels)
        for frame in ImageSequence.Iterator(picture):
            yield np.asarray(frame.convert("RGB"))


def webp_rate(file: BinaryIO) -> Fraction:
    file.seek(0)
    with Image.open(file, formats=["WEBP"]) as picture:
        picture.load()
        duration = Fraction(picture.info.get("duration", 0)).limit_denominator(1000)
    return 1000 / duration if duration else Fraction(0)


def read_cut(file: BinaryIO, wanted: Fitted, choose: Callable[[int], Cut | None], max_pixels: int) -> Iterator[Frame]:
    """The frames of a cut, which `choose` makes once it knows how many there are; found by their timestamps, from the
    keyframe before them."""
    with opened(file, container_of(head(file)), max_pixels) as (source, stream):
        timestamps = sorted(packet.pts for packet in source.demux(stream) if packet.pts is not None)
        cut = choose(len(timestamps))
        if cut is None:
            return
        last = cut.start + (wanted.count - 1) * cut.interval
        left = timestamps[cut.start : last + 1 : cut.interval]
        if not left:
            raise InvalidVideo("not a readable video: it holds no frame")
        source.seek(left[0], stream=stream, backward=True)
        looked_for = set(left)
        for frame in source.decode(stream):
            check_pixels(frame.width, frame.height, max_pixels)
            if frame.pts in looked_for:
                looked_for.remove(frame.pts)
                yield fit(frame, wanted.width, wanted.height)
            if not looked_for:
                return


def fit(frame: av.VideoFrame, width: int, height: int) -> Frame:
    """Scale a frame to cover `width x height`, and cut the middle out of it.

    Raises:
        InvalidVideo: it is so much longer than wide that scaled it would be far larger than it is.
    """
    scale = max(width / frame.width, height / frame.height)
    wide, tall = max(width, round(frame.width * scale)), max(height, round(frame.height * scale))
    if wide * tall > 64 * width * height:
        raise InvalidVideo(f"frames of {frame.width}x{frame.height} pixels cannot be cut to {width}x{height}")
    scaled = frame.reformat(wide, tall, "rgb24", interpolation=Interpolation.AREA)
    top, left = (tall - height) // 2, (wide - width) // 2
    pixels = cast(Frame, scaled.to_ndarray())
    return pixels[top : top + height, left : left + width]


def head(file: BinaryIO) -> bytes:
    """The first bytes of a file, which is then at its start again."""
    file.seek(0)
    found = file.read(HEAD_BYTES)
    file.seek(0)
    return found
