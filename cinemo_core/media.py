"""Pictures and videos in: orientation, fit, MP4, WebM, GIF and WebP. Knows files, nothing of models."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from cinemo_core.errors import InvalidImage, InvalidParameter, InvalidVideo
from cinemo_core.formats import Size, Sizes
from cinemo_core.parameters import check_ranges

Frames = NDArray[np.uint8]
Fit = Literal["crop", "pad"]


def prepare_image(image: Image.Image, width: int, height: int, fit: Fit = "crop") -> Image.Image:
    """Turn upright, flatten alpha on white and bring to `width x height` pixels; raises as the two that it calls."""
    return fit_image(flat_image(image), (width, height), fit)


def flat_image(image: Image.Image) -> Image.Image:
    """Turn upright and flatten alpha on white; raises `InvalidImage` where the picture is truncated or damaged."""
    try:
        upright = eight_bit(ImageOps.exif_transpose(image)).convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidImage(f"the picture is truncated or damaged: {error}") from error
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright).convert("RGB")


def fit_image(flat: Image.Image, size: Size, fit: Fit) -> Image.Image:
    """Bring an RGB picture to a size.

    `crop` fills the frame and cuts what stands over; `pad` keeps the whole picture between black bars.

    Raises:
        InvalidParameter: `fit` is neither of them.
    """
    if fit == "crop":
        return ImageOps.fit(flat, size, Image.Resampling.LANCZOS)
    if fit == "pad":
        return ImageOps.pad(flat, size, Image.Resampling.LANCZOS, color="black")
    raise InvalidParameter(f"fit must be crop or pad, got {fit}")


def prepare_frame(frame: Frames, sizes: Sizes, fit: Fit) -> Frames:
    """Bring a frame `(h, w, 3)` to what the model sees of it in a video; one of that size already is taken as it is."""
    if frame.shape[1::-1] == sizes.model:
        return frame
    return resized(fit_image(Image.fromarray(frame), sizes.video, fit), sizes.model)


def resized(image: Image.Image, size: Size) -> Frames:
    """The pixels `(h, w, 3)` of the whole picture at another size, whatever its shape."""
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.LANCZOS))


def eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey, which Pillow would cut off at 255, in 256 shades; other pictures as they are."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))


def read_video(path: str | Path) -> tuple[Frames, float]:
    """Read all frames `(f, h, w, 3)` uint8 and the frame rate in frames a second, 0 where the file does not tell it.

    Raises:
        InvalidVideo: the file cannot be read or holds no picture.
    """
    if Path(path).suffix.lower() == ".webp":
        return read_webp(path)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
            rate = float(stream.average_rate or 0)
    except (FFmpegError, IndexError) as error:
        raise InvalidVideo(f"{Path(path).name} is not a readable video: {error}") from error
    if not frames:
        raise InvalidVideo(f"{Path(path).name} holds no frame")
    return np.stack(frames), rate


CLIP_DEMUXERS = {".mp4": "mov", ".mov": "mov", ".webm": "matroska", ".mkv": "matroska", ".gif": "gif"}
"""FFmpeg's, by suffix, so that no file chooses one that reads other files, as playlists do."""

CLIP_SUFFIXES = (*CLIP_DEMUXERS, ".webp")


def load_clip(path: str | Path, count: int, interval: int = 1) -> Frames:
    """The first `count` of every `interval`-th frame `(f, h, w, 3)` uint8 of a file; none after them is decoded.

    Raises:
        InvalidParameter: `interval` is not 1..100.
        InvalidVideo: the file cannot be read, is none of `CLIP_SUFFIXES`, or is too short.
    """
    check_ranges(frame_interval=interval)
    if Path(path).suffix.lower() == ".webp":
        return sample_frames(read_webp(path)[0], count, interval)
    return np.stack(list(read_clip(path, count, interval)))


def read_clip(path: str | Path, count: int, interval: int, max_pixels: float = math.inf) -> Iterator[Frames]:
    """Decode every `interval`-th frame `(h, w, 3)` uint8 of a file from anywhere, until there are `count`.

    No frame is decoded that is not needed, and none of more than `max_pixels`, by the header as by itself.

    Raises:
        InvalidVideo: the file cannot be read, is no MP4, QuickTime, WebM, Matroska or GIF, its frames are too large, or
            there are too few of them.
    """
    needed, found = (count - 1) * interval + 1, 0
    try:
        with av.open(str(path), format=CLIP_DEMUXERS.get(Path(path).suffix.lower(), "mov")) as container:
            stream = container.streams.video[0]
            check_pixels(stream.width, stream.height, max_pixels)
            for number, frame in enumerate(islice(container.decode(stream), needed)):
                check_pixels(frame.width, frame.height, max_pixels)
                if number % interval == 0:
                    found += 1
                    yield cast(Frames, frame.to_ndarray(format="rgb24"))
    except (FFmpegError, IndexError, ValueError) as error:
        raise InvalidVideo(f"not a readable video: {error}") from error
    if found < count:
        raise InvalidVideo(
            f"{count} frames, every {interval}th, need a video of {needed}; this one gave {found} of them"
        )


def check_pixels(width: int, height: int, max_pixels: float) -> None:
    """Raise `InvalidVideo` where a frame is too large."""
    if width * height > max_pixels:
        raise InvalidVideo(f"the video is {width}x{height} pixels; at most {max_pixels:,} are allowed")


def read_webp(path: str | Path) -> tuple[Frames, float]:
    """FFmpeg reads no animated WebP, Pillow does."""
    try:
        with Image.open(path) as picture:
            frames = np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)])
            duration = picture.info["duration"]
            return frames, 1000 / duration if duration else 0.0
    except (UnidentifiedImageError, OSError, KeyError) as error:
        raise InvalidVideo(f"{Path(path).name} is not a readable video: {error}") from error


def sample_frames(frames: Frames, count: int, interval: int) -> Frames:
    """The first `count` of every `interval`-th frame.

    Raises:
        InvalidParameter: `interval` is not 1..100.
        InvalidVideo: the video is too short for that.
    """
    check_ranges(frame_interval=interval)
    needed = (count - 1) * interval + 1
    if len(frames) < needed:
        raise InvalidVideo(f"{count} frames, every {interval}th, need a video of {needed}, got {len(frames)}")
    return frames[:needed:interval]
