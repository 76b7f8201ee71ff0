"""Videos as phones, editors and broadcasters write them; each frame encodes its number."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av import VideoStream
from numpy.typing import NDArray

from tests.colours import BT2020, Pixel, light_in, to_xyz

Picture = NDArray[np.uint8]
SIZE = (128, 96)
PQ, HLG = 16, 18
QUIET = "log-level=none:pools=none"


def numbered(number: int, size: tuple[int, int] = SIZE) -> Picture:
    """A grey picture that `number_of` decodes."""
    return np.full((size[1], size[0], 3), 20 + 3 * number, np.uint8)


def number_of(picture: Picture) -> int:
    return round((float(picture.mean()) - 20) / 3)


def write(
    path: Path,
    pictures: Sequence[Picture],
    codec: str = "libx264",
    *,
    rate: int | Fraction = 30,
    pixels: str = "yuv420p",
    keyframe_every: int = 12,
    b_frames: int = 0,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    turn: tuple[float, bool, bool] | None = None,
    pixel_shape: Fraction | None = None,
    **codec_fields: Any,
) -> Path:
    """Write pictures `(h, w, 3)`; `turn` is in degrees counterclockwise, and mirrors, as in FFmpeg."""
    with av.open(str(path), "w", options=container or {}) as file:
        stream = cast(VideoStream, file.add_stream(codec, rate=rate, options=options or {}))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = keyframe_every, b_frames
        for name, value in codec_fields.items():
            setattr(stream.codec_context, name, value)
        if pixel_shape:
            stream.codec_context.sample_aspect_ratio = pixel_shape
        if turn:
            degrees, mirrors_columns, mirrors_rows = turn
            stream.set_display_rotation(degrees, hflip=mirrors_columns, vflip=mirrors_rows)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def cut_without_decoding(source: Path, target: Path, seconds: float) -> Path:
    """Cut like `ffmpeg -ss … -c copy`: from the keyframe before, with an edit list that skips to the start."""
    with av.open(str(source)) as given, av.open(str(target), "w") as file:
        stream = given.streams.video[0]
        copy = file.add_stream_from_template(stream)
        assert stream.time_base is not None
        start = round(seconds / stream.time_base)
        given.seek(start, stream=stream)
        for packet in given.demux(stream):
            if packet.dts is None or packet.pts is None:
                continue
            packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, copy
            file.mux(packet)
    return target


def hdr(path: Path, color: Pixel, transfer: int, frames: int = 20) -> Path:
    """An sRGB colour as a phone writes it: HEVC of 10 bits in BT.2020, white at 203 cd/m² (ITU-R BT.2408)."""
    light = light_in(color, BT2020) * 203
    coded = pq(light) if transfer == PQ else hlg(light / 1000)
    return write_planes(path, yuv2020(coded), transfer, 9, 9, frames)


def wide(path: Path, numbers: Pixel, primaries: int, frames: int = 20) -> Path:
    """Values of a wide-gamut SDR colour in 10 bits."""
    return write_planes(path, yuv2020(np.array(numbers) / 255), 1 if primaries == 12 else 14, primaries, 9, frames)


def write_planes(
    path: Path, color: tuple[int, int, int], transfer: int, primaries: int, matrix: int, frames: int
) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx265", rate=30, options={"x265-params": f"{QUIET}:lossless=1"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p10le"
        codec = stream.codec_context
        codec.color_trc, codec.color_primaries, codec.colorspace, codec.color_range = transfer, primaries, matrix, 1
        for number in range(frames):
            frame = av.VideoFrame(*SIZE, "yuv420p10le")
            for plane, value in zip(frame.planes, color, strict=True):
                plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def pq(nits: NDArray[np.floating]) -> NDArray[np.floating]:
    root = (nits / 10_000) ** 0.1593017578125
    coded: NDArray[np.floating] = ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375
    return coded


def hlg(shown: NDArray[np.floating]) -> NDArray[np.floating]:
    """The HLG value of light on a display of 1000 cd/m², 0..1."""
    brightness = max(float(shown @ to_xyz(BT2020)[1]), 1e-9)
    scene = shown * brightness ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    coded: NDArray[np.floating] = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    return coded


def yuv2020(coded: NDArray[np.floating]) -> tuple[int, int, int]:
    """YUV in 10 bits, limited range."""
    red, green, blue = (float(value) for value in coded)
    brightness = 0.2627 * red + 0.678 * green + 0.0593 * blue
    differences = (blue - brightness) / 1.8814, (red - brightness) / 1.4746
    cb, cr = (round((224 * each + 128) * 4) for each in differences)
    return round((219 * brightness + 16) * 4), cb, cr


def with_open_groups(path: Path, frames: int = 60) -> Path:
    options = {"x265-params": f"{QUIET}:open-gop=1:keyint=12:min-keyint=12:bframes=4:scenecut=0"}
    return write(path, [numbered(number) for number in range(frames)], "libx265", options=options)
