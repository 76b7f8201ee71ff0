"""What happens to videos in the wild: re-encoded, scaled, cropped, converted."""

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image

from cinemo_core.clips import read_video
from cinemo_core.encoding import write_poster, write_video
from cinemo_core.media import Frames

Clip = Sequence[Frames]
DEFAULT_CRF = 23
"""FFmpeg's and x264's default."""


def as_h264(frames: Clip, folder: Path, crf: int = DEFAULT_CRF) -> Clip:
    """Re-encode with settings other than the service's."""
    path = folder / "again.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": str(crf)})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return list(read_video(path)[0])


def as_format(suffix: str) -> Callable[[Clip, Path], Clip]:
    """Re-encode like the service."""

    def written(frames: Clip, folder: Path) -> Clip:
        write_video(folder / f"other{suffix}", frames, 24)
        return list(read_video(folder / f"other{suffix}")[0])

    return written


def as_poster(frames: Clip, folder: Path) -> Clip:
    write_poster(folder / "poster.jpg", frames[len(frames) // 2])
    return [np.asarray(Image.open(folder / "poster.jpg"))]


def halved(frames: Clip) -> Clip:
    """Half as wide and high."""
    return [resized(frame, frame.shape[1] // 4 * 2, frame.shape[0] // 4 * 2) for frame in frames]


def resized(frame: Frames, width: int, height: int) -> Frames:
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))


def cropped(frames: Clip) -> Clip:
    """Crop a tenth of the width and height, more of it on the right and at the bottom."""
    height, width = frames[0].shape[:2]
    top, left = height // 33, width // 40
    tall, wide = round(height * 0.9) // 2 * 2, round(width * 0.9) // 2 * 2
    return [frame[top : top + tall, left : left + wide] for frame in frames]


ATTACKS: dict[str, Callable[[Clip, Path], Clip]] = {
    "none": lambda frames, _: frames,
    "H.264, CRF 23": as_h264,
    "H.264, CRF 28": lambda frames, folder: as_h264(frames, folder, 28),
    "scaled to a half, H.264": lambda frames, folder: as_h264(halved(frames), folder),
    "cropped by a tenth, H.264": lambda frames, folder: as_h264(cropped(frames), folder),
    "cropped, scaled to a half, H.264": lambda frames, folder: as_h264(halved(cropped(frames)), folder),
    "saved as WebM": as_format(".webm"),
    "saved as GIF": as_format(".gif"),
    "saved as WebP": as_format(".webp"),
    "one frame, saved as JPEG": as_poster,
}
"""What is done to the frames of a delivered MP4."""
