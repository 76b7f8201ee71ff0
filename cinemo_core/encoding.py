"""Writes videos frame by frame, as MP4, WebM, GIF or WebP, and posters as JPEG. Knows nothing of models."""

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import numpy as np
from av import VideoFrame, VideoStream
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from cinemo_core.media import Frames
from cinemo_spec.errors import InvalidVideo
from cinemo_spec.marking.files import embed
from cinemo_spec.marking.statement import SourceType, tags, xmp
from cinemo_spec.ranges import check_ranges

# Near the visually lossless end of x264's scale; a small 16-frame clip takes tens of kilobytes. mb-tree is disabled
# because its vector code makes narrow videos differ from run to run: equal frames must give equal files.
X264 = {"crf": "14", "preset": "medium", "x264-params": "mbtree=0"}
VP9 = {"crf": "20", "b": "0", "row-mt": "0", "deadline": "good", "cpu-used": "2"}
WEBP = {"quality": "90", "compression_level": "4"}
# Without it the Matroska muxer writes a random identifier.
REPRODUCIBLE = {"fflags": "+bitexact"}
GIF_CLOCK = 100
"""GIF counts time in hundredths of a second."""
MAX_FPS = {".gif": 50, ".webp": 90}
"""Browsers slow frames shorter than 1/50 s in a GIF or 1/100 s in a WebP down to 10 frames per second."""


class Format(NamedTuple):
    """How FFmpeg writes a kind of file: its container with options, its encoder with options, and its pixels."""

    container: str
    container_options: dict[str, str]
    encoder: str
    encoder_options: dict[str, str]
    pixels: str
    picture_of: Callable[[Frames], VideoFrame]


def write_video(path: str | Path, frames: Iterable[Frames], fps: float = 8, source: SourceType | None = None) -> None:
    """Write frames `(f, h, w, 3)` in the format that the suffix names: `.mp4`, `.webm`, `.gif` or `.webp`.

    All four play in browsers: H.264 with its index before the data, VP9, and animated GIF and WebP, which loop forever.
    Equal frames give equal files. `fps` is 1 to 100 frames per second; above what browsers play, 50 for GIF and 90 for
    WebP, only every second frame is written. Frames may be generated lazily, as by a `Film`: no more are held in memory
    than the encoder's lookahead. With `source`, the file's metadata states that a model made it.

    Raises:
        InvalidParameter: `fps` is out of range.
        InvalidVideo: frames that are not uint8 RGB of one size, an odd height or width that yuv420p cannot hold, or an
            unknown suffix.
    """
    kind = FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise InvalidVideo(f"a video's name must end with {', '.join(FORMATS)}, got {Path(path).name}")
    check_ranges(fps=fps)
    checked = alike(frames)
    first = next(checked, None)
    if first is None:
        raise InvalidVideo("a video needs at least one frame, got none")
    height, width, _ = first.shape
    if kind.pixels == "yuv420p" and (height % 2 or width % 2):
        raise InvalidVideo(f"height and width must be even in yuv420p, got {width}x{height}")
    options = REPRODUCIBLE | kind.container_options
    step = thinning(path, fps)
    with av.open(str(path), "w", format=kind.container, options=options) as container:
        container.metadata.update(tags(source) if source else {})
        # Television's rates are whole numbers times 1000/1001.
        rate = Fraction(fps).limit_denominator(1001) / step
        stream = cast(VideoStream, container.add_stream(kind.encoder, rate=rate, options=kind.encoder_options))
        stream.width, stream.height, stream.pix_fmt = width, height, kind.pixels
        if kind.pixels == "yuv420p":
            codec = stream.codec_context
            codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
            codec.color_primaries, codec.color_trc = 1, 1
        if kind is FORMATS[".gif"]:
            stream.codec_context.time_base = Fraction(1, GIF_CLOCK)
        for number, frame in enumerate(islice(chain([first], checked), 0, None, step)):
            picture = kind.picture_of(frame)
            if kind is FORMATS[".gif"]:
                # Rounding the presentation time, not the duration, keeps errors from adding up.
                picture.pts, picture.time_base = round(number * GIF_CLOCK / rate), Fraction(1, GIF_CLOCK)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    if source:
        embed(Path(path), source)


def alike(frames: Iterable[Frames]) -> Iterator[Frames]:
    """Pass frames through; raise `InvalidVideo` at one that is not an RGB picture or differs in size from the first."""
    shape = None
    for frame in frames:
        if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8 or 0 in frame.shape:
            raise InvalidVideo(f"expected uint8 frames (h, w, 3), got {frame.dtype} {frame.shape}")
        shape = shape or frame.shape
        if frame.shape != shape:
            raise InvalidVideo(f"expected frames of one size, got {shape} and {frame.shape}")
        yield frame


def television(frame: Frames) -> VideoFrame:
    """Convert to yuv420p, BT.709, limited range, which every player assumes or reads from the tags written here."""
    return rgb(frame).reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


def opaque(frame: Frames) -> VideoFrame:
    """Convert to BGRA, which libwebp converts to its own colour space."""
    return rgb(frame).reformat(format="bgra")


def paletted(frame: Frames) -> VideoFrame:
    """Convert to a palette of the frame's own 256 colours, dithered."""
    few = Image.fromarray(frame).quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    colours = np.asarray(few.getpalette(), np.uint8).reshape(-1, 3)
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 0] = 255
    palette[: len(colours), 1:] = colours
    picture: Any = (np.asarray(few), palette)
    return VideoFrame.from_ndarray(picture, format="pal8")


def rgb(frame: Frames) -> VideoFrame:
    return VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")


FORMATS = {
    ".mp4": Format("mp4", {"movflags": "+faststart"}, "libx264", X264, "yuv420p", television),
    ".webm": Format("webm", {}, "libvpx-vp9", VP9, "yuv420p", television),
    ".gif": Format("gif", {"loop": "0"}, "gif", {}, "pal8", paletted),
    ".webp": Format("webp", {"loop": "0"}, "libwebp_anim", WEBP, "bgra", opaque),
}


def thinning(path: str | Path, fps: float) -> int:
    """Use every Nth frame; returns N, above 1 if `fps` exceeds what browsers play of an animated picture."""
    return math.ceil(fps / MAX_FPS.get(Path(path).suffix.lower(), fps))


def frame_rate(path: str | Path, fps: float) -> float:
    """Frame rate of a file written at `fps`, in frames per second."""
    return fps / thinning(path, fps)


def frames_written(path: str | Path, frames: int, fps: float) -> int:
    """Number of frames, of those given, in a file written at `fps`."""
    return math.ceil(frames / thinning(path, fps))


def write_poster(path: str | Path, frame: Frames, source: SourceType | None = None) -> None:
    """Write one frame `(h, w, 3)` as a JPEG; with `source`, its metadata states that a model made it."""
    Image.fromarray(frame).save(path, "JPEG", quality=92, **({"xmp": xmp(source)} if source else {}))


def with_poster(
    frames: Iterable[Frames], poster: Path | None, index: int, source: SourceType | None
) -> Iterator[Frames]:
    """Pass frames through, and write the one at `index` as the poster if a path is given."""
    for number, frame in enumerate(frames):
        if poster and number == index:
            write_poster(poster, frame, source)
        yield frame
