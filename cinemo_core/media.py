"""Pictures in, videos out and in: orientation, fit, MP4, WebM, GIF, WebP and JPEG. Knows files, nothing of models."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av import VideoStream
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from cinemo_core.errors import InvalidImage, InvalidParameter, InvalidVideo
from cinemo_core.parameters import check_ranges

Frames = NDArray[np.uint8]
Fit = Literal["crop", "pad"]

# Near the visually lossless end of x264's scale; a 16-frame clip stays in the tens of kilobytes. Without mb-tree, whose
# vector code makes the bytes of narrow videos differ from run to run: equal frames are to be equal files.
X264 = {"crf": "14", "preset": "medium", "x264-params": "mbtree=0"}
VP9 = {"crf": "20", "b": "0", "row-mt": "0", "deadline": "good", "cpu-used": "2"}
# Without it the Matroska muxer writes a random identifier.
REPRODUCIBLE = {"fflags": "+bitexact"}


def prepare_image(image: Image.Image, width: int, height: int, fit: Fit = "crop") -> Image.Image:
    """Turn upright, flatten alpha on white and bring to `width x height` pixels.

    `crop` fills the frame and cuts what stands over; `pad` keeps the whole picture between black bars.

    Raises:
        InvalidImage: the picture is truncated or damaged.
        InvalidParameter: `fit` is neither of them.
    """
    try:
        upright = eight_bit(ImageOps.exif_transpose(image)).convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidImage(f"the picture is truncated or damaged: {error}") from error
    white = Image.new("RGBA", upright.size, "white")
    flat = Image.alpha_composite(white, upright).convert("RGB")
    if fit == "crop":
        return ImageOps.fit(flat, (width, height), Image.Resampling.LANCZOS)
    if fit == "pad":
        return ImageOps.pad(flat, (width, height), Image.Resampling.LANCZOS, color="black")
    raise InvalidParameter(f"fit must be crop or pad, got {fit}")


def eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey, which Pillow would cut off at 255, in 256 shades; other pictures as they are."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))


def write_video(path: str | Path, frames: Frames, fps: float = 8) -> None:
    """Write frames `(f, h, w, 3)` in the format that the suffix names: `.mp4`, `.webm`, `.gif` or `.webp`.

    All four play in browsers: H.264 with its index before the data, VP9, and the two kinds of animated picture, which
    loop for ever. Equal frames are equal files. `fps` is 1 to 100 frames a second.

    Raises:
        InvalidParameter: `fps` is out of its range.
        InvalidVideo: not uint8 RGB frames, an odd height or width where yuv420p cannot hold it, or another suffix.
    """
    writer = WRITERS.get(Path(path).suffix.lower())
    if writer is None:
        raise InvalidVideo(f"a video's name must end with {', '.join(WRITERS)}, got {Path(path).name}")
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise InvalidVideo(f"expected uint8 frames (f, h, w, 3), got {frames.dtype} {frames.shape}")
    check_ranges(fps=fps)
    writer(path, frames, fps)


def write_mp4(path: str | Path, frames: Frames, fps: float) -> None:
    encode_video(path, frames, fps, "mp4", "libx264", X264, {"movflags": "+faststart"})


def write_webm(path: str | Path, frames: Frames, fps: float) -> None:
    encode_video(path, frames, fps, "webm", "libvpx-vp9", VP9, {})


def encode_video(
    path: str | Path,
    frames: Frames,
    fps: float,
    container_format: str,
    encoder: str,
    encoder_options: dict[str, str],
    container_options: dict[str, str],
) -> None:
    """Encode in yuv420p, BT.709, limited range: what every player assumes or is told here."""
    _, height, width, _ = frames.shape
    if height % 2 or width % 2:
        raise InvalidVideo(f"height and width must be even in yuv420p, got {width}x{height}")
    with av.open(str(path), "w", format=container_format, options=REPRODUCIBLE | container_options) as container:
        # Television's rates are whole numbers times 1000/1001.
        rate = Fraction(fps).limit_denominator(1001)
        stream = cast(VideoStream, container.add_stream(encoder, rate=rate, options=encoder_options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        codec = stream.codec_context
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = 1, 1
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_gif(path: str | Path, frames: Frames, fps: float) -> None:
    """256 colours of each frame's own, dithered."""
    pictures = [Image.fromarray(frame).quantize(256, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    save_animation(path, pictures, fps, "GIF", disposal=1)


def write_webp(path: str | Path, frames: Frames, fps: float) -> None:
    save_animation(path, [Image.fromarray(frame) for frame in frames], fps, "WEBP", quality=90, method=4)


def save_animation(
    path: str | Path, pictures: list[Image.Image], fps: float, picture_format: str, **options: int
) -> None:
    first, *others = pictures
    durations = [1000 / fps] * len(pictures)
    first.save(path, picture_format, save_all=True, append_images=others, duration=durations, loop=0, **options)


WRITERS: dict[str, Callable[[str | Path, Frames, float], None]] = {
    ".mp4": write_mp4,
    ".webm": write_webm,
    ".gif": write_gif,
    ".webp": write_webp,
}


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


def frame_rate(path: str | Path, fps: float) -> float:
    """Frames a second that a file written at `fps` plays at: GIF counts time in hundredths of a second."""
    return 100 / int(100 / fps) if Path(path).suffix.lower() == ".gif" else fps


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


def write_poster(path: str | Path, frame: NDArray[np.uint8]) -> None:
    """Write one frame `(h, w, 3)` as a JPEG."""
    Image.fromarray(frame).save(path, "JPEG", quality=92)
