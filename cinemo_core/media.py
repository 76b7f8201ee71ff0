"""Pictures in, videos out and in: orientation, crop, H.264 and JPEG. Knows arrays and files, nothing of models."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cinemo_core.errors import InvalidVideo

Frames = NDArray[np.uint8]

# Near the visually lossless end of x264's scale; a 16-frame clip stays in the tens of kilobytes. Without mb-tree, whose
# vector code makes the bytes of narrow videos differ from run to run: equal frames are to be equal files.
X264 = {"crf": "14", "preset": "medium", "x264-params": "mbtree=0"}


def prepare_image(image: Image.Image, width: int, height: int) -> Image.Image:
    """Turn upright, flatten alpha on white, crop the middle to the aspect of `width x height` pixels and resize."""
    upright = ImageOps.exif_transpose(image).convert("RGBA")
    white = Image.new("RGBA", upright.size, "white")
    flat = Image.alpha_composite(white, upright).convert("RGB")
    return ImageOps.fit(flat, (width, height), Image.Resampling.LANCZOS)


def write_video(path: str | Path, frames: Frames, fps: int = 8) -> None:
    """Write frames `(f, h, w, 3)` as an H.264 MP4 that browsers play: yuv420p, BT.709, the index before the data.

    Raises:
        InvalidVideo: not uint8 RGB frames, or an odd height or width, which yuv420p cannot hold.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise InvalidVideo(f"expected uint8 frames (f, h, w, 3), got {frames.dtype} {frames.shape}")
    _, height, width, _ = frames.shape
    if height % 2 or width % 2:
        raise InvalidVideo(f"height and width must be even for H.264 in yuv420p, got {width}x{height}")
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options=X264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        codec = stream.codec_context
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = 1, 1
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_video(path: str | Path) -> tuple[Frames, float]:
    """Read all frames `(f, h, w, 3)` uint8 and the frame rate in frames a second.

    Raises:
        InvalidVideo: the file cannot be read or holds no picture.
    """
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


def write_poster(path: str | Path, frame: NDArray[np.uint8]) -> None:
    """Write one frame `(h, w, 3)` as a JPEG."""
    Image.fromarray(frame).save(path, "JPEG", quality=92)
