"""Reads a file's frames `(h, w, 3)` uint8 one by one. Runs only in the decoding process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import BinaryIO

import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from cinemo_core.sandbox.display import fit, pixel_shape, size_shown, whole
from cinemo_core.sandbox.index import index_of, keyed_from
from cinemo_core.sandbox.opening import HEAD_BYTES, check_pixels, container_of, opened
from cinemo_spec.errors import InvalidVideo

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Cut:
    """Every `interval`-th frame from `start` on."""

    start: int
    interval: int


@dataclass(frozen=True)
class First:
    """The first `count` of every `interval`-th frame, at their own size; all of them if `count` is None."""

    count: int | None
    interval: int = 1


@dataclass(frozen=True)
class Fitted:
    """`count` frames of a cut, scaled to cover `width x height` and center-cropped."""

    count: int
    width: int
    height: int


def read_first(file: BinaryIO, wanted: First, max_pixels: int) -> Iterator[Frame | Fraction]:
    """Yield the frames, decoding no more than needed, then the frame rate, 0 if unknown."""
    container = container_of(head(file))
    needed = None if wanted.count is None else (wanted.count - 1) * wanted.interval + 1
    if container == "webp":
        yield from islice(webp_frames(file, max_pixels), 0, needed, wanted.interval)
        yield webp_rate(file)
        return
    with opened(file, container, max_pixels) as (source, stream):
        pixel = pixel_shape(stream)
        for number, frame in enumerate(islice(source.decode(stream), needed)):
            check_pixels(*size_shown(frame, pixel), max_pixels)
            if number % wanted.interval == 0:
                yield whole(frame, pixel)
        yield rate_of(stream, container)


def rate_of(stream: VideoStream, container: str) -> Fraction:
    """Frames per second, 0 if unknown; for a GIF, the average, because FFmpeg looks only at the first frames."""
    if container == "gif" and stream.frames and stream.duration and stream.time_base:
        return stream.frames / (stream.duration * stream.time_base)
    return stream.average_rate or Fraction(0)


def webp_frames(file: BinaryIO, max_pixels: int) -> Iterator[Frame]:
    """Frames of an animated WebP, read by Pillow because FFmpeg cannot."""
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
    """The frames of the cut that `choose` returns for the number of frames, without those that cannot be decoded.

    Raises:
        InvalidVideo: the video has no frame there.
    """
    container = container_of(head(file))
    with opened(file, container, max_pixels) as (source, stream):
        index = index_of(source, stream)
    cut = choose(len(index.times))
    if cut is None:
        return
    places = range(cut.start, min(cut.start + wanted.count * cut.interval, len(index.times)), cut.interval)
    if not places:
        raise InvalidVideo("not a readable video: it has no frames")
    missing = dict.fromkeys(places if index.is_by_order else (index.times[place] for place in places))
    found: dict[int, Frame] = {}
    for start in index.starts_before(places[0]):
        file.seek(0)
        with opened(file, container, max_pixels) as (source, stream):
            pixel = pixel_shape(stream)
            for key, frame in keyed_from(source, stream, start, index.is_by_order):
                if key in missing:
                    del missing[key]
                    check_pixels(*size_shown(frame, pixel), max_pixels)
                    found[key] = fit(frame, pixel, wanted.width, wanted.height)
                # Frames still missing cannot follow: they refer to frames before the keyframe.
                if not missing or key > max(missing) or (start is not None and key > min(missing)):
                    break
        if not missing:
            break
    yield from (found[key] for key in sorted(found))


def head(file: BinaryIO) -> bytes:
    """The first `HEAD_BYTES` of a file; rewinds it."""
    file.seek(0)
    found = file.read(HEAD_BYTES)
    file.seek(0)
    return found
