"""Malicious videos: small files, each expensive or misleading in its own way."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import av
import numpy as np
from PIL import Image


def box(name: str, *content: bytes) -> bytes:
    """An MP4 box: its length, name and contents."""
    data = b"".join(content)
    return struct.pack(">I", 8 + len(data)) + name.encode() + data


def png(width: int, height: int) -> bytes:
    """An all-black PNG of any size in a few bytes for each megapixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + width)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def encoded(picture_format: str, width: int, height: int) -> bytes:
    """A picture encoded by Pillow."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, picture_format)
    return buffer.getvalue()


def quicktime(
    codec: bytes, packets: list[bytes], width: int = 64, height: int = 64, claimed: int | None = None
) -> bytes:
    """A QuickTime file that says it holds frames of `width x height`, and holds whatever packets these are.

    With `claimed` its table speaks of so many samples of no bytes instead, for which nothing has to be stored.
    """
    samples = len(packets) if claimed is None else claimed
    start = box("ftyp", b"qt  \0\0\0\0qt  ")
    data = box("mdat", *packets)
    entry = box(
        codec.decode("latin-1"),
        bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", width, height),
        struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32) + struct.pack(">Hh", 24, -1),
    )
    sizes = (
        struct.pack(">III", 0, 0, samples) + b"".join(struct.pack(">I", len(packet)) for packet in packets)
        if claimed is None
        else struct.pack(">III", 0, 1, samples)
    )
    table = box(
        "stbl",
        box("stsd", struct.pack(">II", 0, 1), entry),
        box("stts", struct.pack(">IIII", 0, 1, samples, 100)),
        box("stsc", struct.pack(">IIIII", 0, 1, 1, samples, 1)),
        box("stsz", sizes),
        box("stco", struct.pack(">III", 0, 1, len(start) + 8)),
    )
    media = box(
        "mdia",
        box("mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 1000, samples * 100 % 2**31, 0, 0)),
        box("hdlr", struct.pack(">I", 0) + b"mhlrvide" + bytes(13)),
        box("minf", box("vmhd", struct.pack(">IHHHH", 1, 0, 0, 0, 0)), box("dinf", references(b"")), table),
    )
    return start + data + box("moov", movie_header(), box("trak", track_header(width, height), media))


def references(place: bytes) -> bytes:
    """Where a track's samples are: in the file itself, or elsewhere."""
    own = box("url ", struct.pack(">I", 0 if place else 1) + place)
    return box("dref", struct.pack(">II", 0, 1), own)


def movie_header() -> bytes:
    return box("mvhd", struct.pack(">IIIIIIH", 0, 0, 0, 1000, 1000, 0x10000, 0x100) + bytes(74))


def track_header(width: int, height: int) -> bytes:
    return box(
        "tkhd", struct.pack(">IIIIII", 15, 0, 0, 1, 0, 1000) + bytes(52) + struct.pack(">II", width << 16, height << 16)
    )


def muxed(
    container: str, codec: str, size: tuple[int, int], frames: int, pixels: str = "yuv420p", **options: str
) -> bytes:
    """A well-formed file of grey frames."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as target:
        stream: Any = target.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), 20 + number % 200, np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)))
        target.mux(stream.encode(None))
    return buffer.getvalue()


def gif(width: int, height: int) -> bytes:
    """A GIF with a screen of any size and one frame that fills it."""
    screen = struct.pack("<HH", width, height)
    palette = bytes(6)
    frame = b"\x2c" + bytes(4) + screen + b"\0\x02\x02\x4c\x01\0"
    return b"GIF89a" + screen + b"\x80\0\0" + palette + frame + b"\x3b"


def webp(width: int, height: int) -> bytes:
    """An animated WebP that claims a size, without any frames."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    def three(number: int) -> bytes:
        return struct.pack("<I", number)[:3]

    still = encoded("WEBP", 16, 16)[12:]
    size = three(width - 1) + three(height - 1)
    animated = chunk(b"VP8X", b"\x02\0\0\0" + size) + chunk(b"ANIM", bytes(6))
    animated += chunk(b"ANMF", bytes(6) + three(15) + three(15) + three(40) + b"\0" + still)
    return b"RIFF" + struct.pack("<I", 4 + len(animated)) + b"WEBP" + animated


PLAYLISTS: dict[str, Callable[[str], str]] = {
    "ffconcat": lambda place: f"ffconcat version 1.0\nfile '{place}'\n",
    "concat without a version": lambda place: f"file '{place}'\nduration 1\n",
    "HLS": lambda place: f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{place}\n#EXT-X-ENDLIST\n",
    "DASH": lambda place: (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT1S">'
        f'<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{place}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    ),
    "SDP": lambda place: (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    ),
    "SMIL": lambda place: f'<smil><body><video src="{place}"/></body></smil>',
    "M3U": lambda place: f"{place}\n",
    "image pattern": lambda place: place.replace("0", "%d"),
    "avisynth": lambda place: f'FFmpegSource2("{place}")\n',
}
"""Texts that name another file, as players take them for videos."""
