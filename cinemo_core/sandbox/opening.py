"""Opens a video with the demuxer for its first bytes, whatever its name.

Left to itself, FFmpeg could choose a demuxer that reads other files or the network: playlists (HLS, DASH, concat, IMF),
session descriptions (SDP), image sequences. Those are never used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from cinemo_spec.errors import InvalidVideo

BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""Types of the first box in MP4 and QuickTime files, after its four-byte length."""

STARTS = {b"\x1aE\xdf\xa3": "matroska", b"GIF87a": "gif", b"GIF89a": "gif", b"\0\0\1\xba": "mpeg"}
RIFF = {b"AVI ": "avi", b"WEBP": "webp"}
HEAD_BYTES = 12
ALIGNMENT_PIXELS = 128 * 128


def container_of(head: bytes) -> str:
    """`mov`, `matroska`, `gif`, `avi`, `mpeg` or `webp`, detected from the first `HEAD_BYTES` of a file.

    Raises:
        InvalidVideo: none of these formats.
    """
    if head[4:8] in BOXES:
        return "mov"
    if head[:4] == b"RIFF" and head[8:12] in RIFF:
        return RIFF[head[8:12]]
    for start, name in STARTS.items():
        if head.startswith(start):
            return name
    raise InvalidVideo(
        "not a readable video: neither MP4, QuickTime, WebM, Matroska, AVI, MPEG-PS, GIF nor WebP, going by its first "
        "bytes"
    )


@contextmanager
def opened(file: BinaryIO, demuxer: str, max_pixels: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream, whose frames have at most `max_pixels`.

    Raises:
        InvalidVideo: according to its header, the frames are too large, or there are none.
    """
    # FFmpeg's own limit rejects a frame before it allocates memory, while probing and while decoding. It includes
    # padding for alignment, so it is set higher.
    most = {"max_pixels": str(2 * max_pixels + ALIGNMENT_PIXELS)}
    options = most | {
        "format_whitelist": demuxer,
        "protocol_whitelist": "none",
        "enable_drefs": "0",
        "threads": "1",
    }
    with av.open(file, "r", format=demuxer, options=options) as container:
        if not container.streams.video:
            raise InvalidVideo("not a readable video: it has no video stream")
        stream = container.streams.video[0]
        check_pixels(stream.width, stream.height, max_pixels)
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        stream.codec_context.options = most
        yield container, stream


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raise `InvalidVideo` if a frame is too large."""
    if width * height > max_pixels:
        raise InvalidVideo(f"the video is {width}x{height} pixels; at most {max_pixels:,} are allowed")
