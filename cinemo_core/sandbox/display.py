"""Converts decoded frames for display: rotated upright, deinterlaced, with square pixels, in sRGB.

Runs only in the decoding process.
"""

import struct
from fractions import Fraction
from functools import cache
from typing import NamedTuple, cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cinemo_spec.colour import (
    COLUMNS,
    HLG,
    HLG_GAMMA,
    HLG_NITS,
    KNEE,
    LIKE_P3,
    PQ,
    WHITE_NITS,
    hlg_scene,
    light,
    pq_nits,
)
from cinemo_spec.errors import InvalidVideo

Frame = NDArray[np.uint8]
Light = NDArray[np.float32]

WIDEST_PIXEL = 16
"""Largest credible pixel aspect ratio, either way; anything beyond is a broken header."""
UNSPECIFIED, DISPLAY_P3, BT2020 = 2, 12, 9
MATRIX_BYTES = 36
HD_ROWS = 720
"""From this height on, an unspecified matrix is taken to be BT.709, below BT.601, as players do."""
LEVELS = 4096
BAND_ROWS = 128


class Turn(NamedTuple):
    """Orientation fix: transpose, then mirror either axis."""

    swaps: bool
    mirrors_columns: bool
    mirrors_rows: bool

    def apply(self, picture: Frame) -> Frame:
        """The picture `(h, w, 3)`, upright."""
        if self.swaps:
            picture = picture.transpose(1, 0, 2)
        columns, rows = -1 if self.mirrors_columns else 1, -1 if self.mirrors_rows else 1
        return np.ascontiguousarray(picture[::rows, ::columns])


def pixel_shape(stream: VideoStream) -> Fraction:
    """Pixel aspect ratio, width over height; 1 if it is not credible."""
    shape = stream.sample_aspect_ratio or Fraction(1)
    return shape if Fraction(1, WIDEST_PIXEL) <= shape <= WIDEST_PIXEL else Fraction(1)


def size_shown(frame: av.VideoFrame, pixel: Fraction) -> tuple[int, int]:
    """Width and height with square pixels, before rotation."""
    return max(1, round(frame.width * pixel)), frame.height


def whole(frame: av.VideoFrame, pixel: Fraction) -> Frame:
    """The whole frame `(h, w, 3)`."""
    width, height = size_shown(frame, pixel)
    return turn_of(frame).apply(in_srgb(progressive(frame), width, height, Interpolation.BICUBIC))


def fit(frame: av.VideoFrame, pixel: Fraction, width: int, height: int) -> Frame:
    """Scale a frame to cover `width x height`, then center-crop it.

    Raises:
        InvalidVideo: the aspect ratios differ so much that the scaled frame would be over 64 times the target's size.
    """
    turn = turn_of(frame)
    if turn.swaps:
        width, height = height, width
    shown = size_shown(frame, pixel)
    scale = max(width / shown[0], height / shown[1])
    wide, tall = max(width, round(shown[0] * scale)), max(height, round(shown[1] * scale))
    if wide * tall > 64 * width * height:
        raise InvalidVideo(f"frames of {shown[0]}x{shown[1]} pixels cannot be cropped to {width}x{height}")
    pixels = in_srgb(progressive(frame), wide, tall, Interpolation.AREA)
    top, left = (tall - height) // 2, (wide - width) // 2
    return turn.apply(pixels[top : top + height, left : left + width])


def turn_of(frame: av.VideoFrame) -> Turn:
    """Orientation from a frame's display matrix, in multiples of 90 degrees."""
    data = frame.side_data.get("DISPLAYMATRIX")
    matrix = bytes(cast(SideData, data)) if data is not None else b""
    if len(matrix) < MATRIX_BYTES:
        return Turn(False, False, False)
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    swaps = abs(b) > abs(a)
    return Turn(swaps, (c if swaps else a) < 0, (b if swaps else d) < 0)


def progressive(frame: av.VideoFrame) -> av.VideoFrame:
    """Deinterlace a frame: clamp each line of the second field between its neighbours in the first."""
    if not frame.interlaced_frame or not frame.format.name.startswith("yuv"):
        return frame
    made = av.VideoFrame(frame.width, frame.height, frame.format.name)
    kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    for source, target in zip(frame.planes, made.planes, strict=True):
        rows = np.frombuffer(memoryview(source), np.uint8).reshape(-1, source.line_size)[: source.height]
        row_bytes = source.width * np.dtype(kind).itemsize
        picture = np.ascontiguousarray(rows[:, :row_bytes]).view(kind)
        above = picture[0::2]
        below = np.concatenate((above[1:], above[-1:]))[: len(picture[1::2])]
        above = above[: len(below)]
        picture[1::2] = picture[1::2].clip(np.minimum(above, below), np.maximum(above, below))
        padded = np.zeros((target.height, target.line_size), np.uint8)
        padded[:, :row_bytes] = picture.view(np.uint8)
        target.update(padded.tobytes())
    made.colorspace, made.color_range = frame.colorspace, frame.color_range
    made.color_trc, made.color_primaries = frame.color_trc, frame.color_primaries
    return made


def in_srgb(frame: av.VideoFrame, width: int, height: int, interpolation: Interpolation) -> Frame:
    """A frame's pixels at a size, converted to sRGB if they are HDR or wide-gamut."""
    primaries = DISPLAY_P3 if frame.color_primaries == LIKE_P3 else frame.color_primaries
    wide = primaries in (BT2020, DISPLAY_P3) or frame.color_trc in (PQ, HLG)
    made = frame.reformat(
        width,
        height,
        "rgb48le" if wide else "rgb24",
        src_colorspace=matrix_of(frame, primaries),
        interpolation=interpolation,
        threads=1,
    ).to_ndarray()
    if not wide:
        return cast(Frame, made)
    deep = cast(NDArray[np.uint16], made)
    kind, space = frame.color_trc, primaries if primaries in COLUMNS else BT2020
    shown = np.empty(made.shape, np.uint8)
    for top in range(0, len(made), BAND_ROWS):
        shown[top : top + BAND_ROWS] = tone_mapped_srgb(deep[top : top + BAND_ROWS], kind, space)
    return shown


def matrix_of(frame: av.VideoFrame, primaries: int) -> int | None:
    """The YCbCr matrix to assume if the frame does not specify one; None for FFmpeg's default."""
    if frame.colorspace != UNSPECIFIED or not frame.format.name.startswith(("yuv", "nv", "p0")):
        return None
    if primaries == BT2020:
        return int(Colorspace.BT2020)
    return int(Colorspace.ITU709) if min(frame.width, frame.height) >= HD_ROWS else None


def tone_mapped_srgb(pixels: NDArray[np.uint16], transfer: int, primaries: int) -> Frame:
    """Convert HDR or wide-gamut pixels `(h, w, 3)` to sRGB; highlights above white are compressed below it."""
    values: Light = curve(transfer)[pixels >> 4]
    if transfer == HLG:
        brightness = values @ to_xyz(primaries)[1]
        values = values * (brightness ** (HLG_GAMMA - 1) * HLG_NITS / WHITE_NITS)[..., None]
    values = np.maximum(values @ to_srgb_light(primaries).T, 0)
    brightest = values.max(axis=-1, keepdims=True)
    if transfer in (PQ, HLG):
        drawn_in = KNEE + (1 - KNEE) * -np.expm1(-np.maximum(brightest - KNEE, 0) / (1 - KNEE))
        values = values * np.where(brightest > KNEE, drawn_in / np.maximum(brightest, KNEE), 1)
    shown: Frame = srgb_codes()[(values.clip(0, 1) * 65535 + 0.5).astype(np.uint16)]
    return shown


@cache
def curve(transfer: int) -> Light:
    """Lookup table of linear light by a code's upper twelve bits: white is 1; for HLG, scene light 0..1."""

    def of(value: float) -> float:
        if transfer == PQ:
            return pq_nits(value) / WHITE_NITS
        return hlg_scene(value) if transfer == HLG else light(value, 0)

    return np.array([of(number / (LEVELS - 1)) for number in range(LEVELS)], np.float32)


@cache
def to_xyz(primaries: int) -> Light:
    return np.array(COLUMNS[primaries], np.float32).T


@cache
def to_srgb_light(primaries: int) -> Light:
    return np.linalg.solve(to_xyz(1), to_xyz(primaries)).astype(np.float32)


@cache
def srgb_codes() -> Frame:
    """Lookup table of sRGB codes for 65,536 steps of linear light."""
    steps = np.arange(65536) / 65535
    codes = np.where(steps <= 0.0031308, steps * 12.92, 1.055 * steps ** (1 / 2.4) - 0.055)
    return (codes * 255).round().astype(np.uint8)
